import { Frames } from '../../lib/format/frames';

describe('Frames', () => {
  it('have no chunk until a connection needs one', () => {
    const frames = new Frames('data: x\n\n', 1);

    expect(frames).toEqual({ text: 'data: x\n\n', events: 1, chunk: undefined });
  });
});
