import { Frames } from '../../lib/format/frames';

describe('Frames', () => {
  it('are text, and ready for the wire once somebody has needed them', () => {
    const frames = new Frames('data: x\n\n', 1);

    expect(frames).toEqual({ text: 'data: x\n\n', events: 1, chunk: undefined });
  });
});
