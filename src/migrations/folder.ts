import { fileURLToPath } from 'node:url';

/** The folder `sql/` of the repository, or of the package. */
export const migrationsFolder: string = fileURLToPath(new URL('../../sql', import.meta.url));
