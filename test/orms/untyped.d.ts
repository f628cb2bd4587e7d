declare module 'pg-copy-streams';
declare module 'pg-cursor';
