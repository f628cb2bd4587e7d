// The handler of the bad-input tests: writes down what it was given, whatever that was.
import { defineHandler, type HandlerContext } from '../../src/handlers/handler.ts';

async function note({ event, payload, tx }: HandlerContext<unknown>): Promise<void> {
  await tx.query(
    'INSERT INTO seen (source, event_id, topic, payload, raw_body) VALUES ($1, $2, $3, $4, $5)',
    [
      event.source,
      event.id,
      event.topic,
      payload === null || payload === undefined
        ? null
        : JSON.stringify(payload).slice(0, 1_000).replaceAll('\0', ''),
      event.rawBody,
    ],
  );
}

export default ['stripe', 'github', 'slack', 'shopify'].map((provider) =>
  defineHandler({ provider, topic: '*', handle: note }),
);
