/** What tested code forks is TypeScript, as it is itself. */
process.execArgv.push('--import', 'jiti/register');
