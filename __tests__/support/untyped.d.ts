declare module 'express4' {
  import express from 'express';
  export default express;
}

declare module 'router22' {
  import type { Router } from 'express';
  export default function router(): Router;
}
