/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', {}] },
  reporters: ['default', '<rootDir>/tools/open-tests.cjs'],
  moduleNameMapper: { '^express-yield$': '<rootDir>/lib/index.ts' },
};
