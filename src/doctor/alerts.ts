// The open alerts: each needs a person until it is acknowledged.
import { describeAlert } from '../events/alert-texts.ts';
import { listOpenAlerts, reportedAlert } from '../events/alerts.ts';
import { countText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, needsPerson, ok, warn } from './check.ts';

const shownAlerts = 20;

/** @param only checks this source only */
export async function checkAlerts(
  { database }: Pick<CheckContext, 'database'>,
  only: string | undefined,
): Promise<Check[]> {
  const alerts = (await listOpenAlerts(database)).filter(
    ({ source }) => only === undefined || source === only,
  );
  if (alerts.length === 0) return [ok('alerts', 'none is open')];
  const checks = alerts
    .toSorted((a, b) => Number(a.acknowledgedBy !== null) - Number(b.acknowledgedBy !== null))
    .slice(0, shownAlerts)
    .map((alert) => {
      const { sentence, command } = describeAlert(reportedAlert(alert));
      const message = `${alert.kind} since ${timeText(alert.beganAt)}: ${sentence}`;
      if (alert.acknowledgedBy !== null)
        return ok('alerts', `${message}; acknowledged by ${alert.acknowledgedBy}`);
      const of = alert.source === '' ? '' : ` --source ${alert.source}`;
      const acknowledge = `postbell alerts ack --kind ${alert.kind}${of}`;
      return needsPerson(warn('alerts', message, `look: ${command}; acknowledge: ${acknowledge}`));
    });
  const more = alerts.length - checks.length;
  if (more > 0) checks.push(warn('alerts', countText(more, 'more alert'), 'list all: postbell alerts'));
  return checks;
}
