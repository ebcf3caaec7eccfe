/** What tested code forks is TypeScript, as it is itself. */
if (!process.execArgv.includes('jiti/register')) process.execArgv.push('--import', 'jiti/register');
