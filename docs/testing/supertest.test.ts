import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { eventStream } from 'express-yield/testing';
import request from 'supertest';
import { app } from './app.ts';

test('reads the first event of an endless stream', async () => {
  const res = await request(app)
    .get('/clock')
    .buffer()
    .parse(eventStream({ take: 1 }))
    .expect(200);
  equal(res.body[0].data, '0');
});

test('shows the body of an error', async () => {
  const res = await request(app).get('/orders').buffer().parse(eventStream()).expect(401);
  equal(res.text.includes('Not signed in.'), true);
});
