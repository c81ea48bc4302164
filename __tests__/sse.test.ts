import express from 'express';
import request from 'supertest';
import { sse } from '../lib';

describe('app.use(sse())', () => {
  it('streams what an async generator route yields', async () => {
    const app = express().use(sse());
    app.get('/', async function* () {
      yield { n: 1 };
      return 'done';
    });

    const response = await request(app).get('/');

    expect(response.text).toBe('data: {"n":1}\n\nevent: end\nid: ~end\ndata: done\n\n');
  });
});
