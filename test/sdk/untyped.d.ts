// Packages that bring no types.
declare module 'braintree';
declare module 'messagebird/lib/webhook-signature-jwt.js';
declare module 'smartcar';
