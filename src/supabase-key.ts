const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * The headers that show a key to Supabase: PostgREST by itself looks at `authorization` alone and takes a JWT there, a hosted
 * project at `apikey`, and it refuses a key of the new kind (`sb_secret_…`) as a bearer.
 */
export const keyHeaders = (key: string): Record<string, string> => ({
  apikey: key,
  ...(JWT.test(key) && { authorization: `Bearer ${key}` }),
});
