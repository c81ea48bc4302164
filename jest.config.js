const { availableParallelism } = require('node:os');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // More than there are cores: the servers, browsers and compilers that the tests start also make them wait.
  maxWorkers: Math.ceil(1.5 * availableParallelism()),
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', {}] },
  reporters: ['default', '<rootDir>/tools/open-tests.cjs'],
  // Ends a test that hangs. It is no assertion about time: a test runs as long as its processes and browsers take.
  testTimeout: 60_000,
  moduleNameMapper: { '^express-yield$': '<rootDir>/lib/index.ts' },
};
