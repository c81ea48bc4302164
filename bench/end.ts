/** The last frame of a source that has returned nothing; every adapter sends it. */
export const END_FRAME = 'event: end\nid: ~end\ndata: \n\n';
