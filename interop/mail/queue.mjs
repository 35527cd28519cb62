// Where the application's jobs are.

export const connection = { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', maxRetriesPerRequest: null };
export const queueName = 'mail';
