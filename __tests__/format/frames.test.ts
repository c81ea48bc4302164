import { Frames } from '../../lib/format/frames';

describe('Frames', () => {
  it('have no chunk until a connection needs one', () => {
    const { text, events, bytes, chunk } = new Frames('data: ü\n\n', 1);

    expect({ text, events, bytes, chunk }).toEqual({
      text: 'data: ü\n\n',
      events: 1,
      bytes: 10,
      chunk: undefined,
    });
  });

  it('of a chunk have the text of it', () => {
    const chunk = Buffer.from('a\r\ndata: ü\n\n\r\n');

    const { text, events, bytes } = Frames.ofChunk(chunk, 1);

    expect({ text, events, bytes }).toEqual({ text: 'data: ü\n\n', events: 1, bytes: 10 });
  });
});
