/** The JSON of the route that does not stream. */
export const OTHER = { id: 4711, symbol: 'ACME', name: 'Acme Corporation', venue: 'XNAS', open: true };

export const OTHER_PATH = '/other';
