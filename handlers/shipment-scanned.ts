// A parcel was scanned. Scans come in any order; the newest one says where the parcel is.
import { z } from 'zod';
import { defineHandler } from '../src/index.ts';

export default defineHandler({
  provider: 'fedex',
  topic: '*', // PU, IT, OD, DL and some forty more: all of them are scans
  payload: z.object({
    output: z.object({
      // FedEx notifies for one tracking number at a time.
      completeTrackResults: z.tuple([
        z.object({
          trackingNumber: z.string(),
          trackResults: z.tuple([
            z.object({
              scanEvents: z
                .array(
                  z.object({
                    date: z.iso.datetime({ offset: true }),
                    eventType: z.string(),
                    eventDescription: z.string(),
                  }),
                )
                .min(1),
            }),
          ]),
        }),
      ]),
    }),
  }),
  // Scans of one parcel run one at a time, and `WHERE entity = <tracking number>` finds them all in webhook_events.
  entity: ({ output }) => output.completeTrackResults[0].trackingNumber,
  // A late scan still belongs to the history, so it is handled; the UPDATE below keeps it from becoming the status.
  whenStale: 'handle',
  async handle({ payload, tx }) {
    const { trackingNumber, trackResults } = payload.output.completeTrackResults[0];
    for (const scan of trackResults[0].scanEvents) {
      await tx.query(
        `INSERT INTO example_shop.tracking_scans (tracking_number, scanned_at, code, description) VALUES ($1, $2, $3, $4)`,
        [trackingNumber, scan.date, scan.eventType, scan.eventDescription],
      );
      await tx.query(
        `INSERT INTO example_shop.shipments (tracking_number, status, last_scan_at) VALUES ($1, $2, $3)
         ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, last_scan_at = excluded.last_scan_at
         WHERE shipments.last_scan_at <= excluded.last_scan_at`,
        [trackingNumber, scan.eventDescription, scan.date],
      );
    }
  },
});
