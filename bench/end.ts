/** The last frame of a source that returns no value; every adapter sends it. */
export const END_FRAME = 'event: end\nid: ~end\ndata: null\n\n';
