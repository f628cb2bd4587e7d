// Prints the ledger, the shop's tables and the dead letters.
import type { OutputStream } from '../terminal/io.ts';
import { printLine, printTable } from '../terminal/print.ts';
import type { BookLine } from './books.ts';
import type { DeadLetter } from './event-queries.ts';
import type { ShopTables } from './shop-queries.ts';

const thousands = (number: number) => number.toLocaleString('en-US');

export function printLedger(out: OutputStream, lines: readonly BookLine[]): void {
  printTable(out, lines, [
    { title: 'LEDGER', value: (line) => line.what },
    { title: 'EXPECTED', value: (line) => thousands(line.expected), isNumber: true },
    { title: 'FOUND', value: (line) => thousands(line.found), isNumber: true },
    { title: '', value: (line) => (line.expected === line.found ? 'ok' : 'DOES NOT BALANCE') },
  ]);
}

export function printShop(out: OutputStream, { orders, customers, shipments }: ShopTables): void {
  printTable(out, orders, [
    { title: 'ORDERS', value: (row) => row.status },
    { title: 'COUNT', value: (row) => String(row.count), isNumber: true },
    { title: 'PAID (CENTS)', value: (row) => row.paid, isNumber: true },
    { title: 'REFUNDED', value: (row) => row.refunded, isNumber: true },
  ]);
  printLine(out);
  printTable(out, customers, [
    { title: 'CUSTOMER', value: (row) => row.customer },
    { title: 'ORDERS', value: (row) => String(row.orders), isNumber: true },
    { title: 'POINTS GIVEN', value: (row) => row.points, isNumber: true },
    { title: 'BALANCE', value: (row) => row.balance, isNumber: true },
  ]);
  printLine(out);
  printTable(out, shipments, [
    { title: 'PARCEL', value: (row) => row.parcel },
    { title: 'SCANS', value: (row) => String(row.scans), isNumber: true },
    { title: 'NEWEST', value: (row) => row.newest_scan.toISOString().slice(0, 16).replace('T', ' ') },
    { title: 'STATUS', value: (row) => row.status },
  ]);
}

export function printDeadLetters(out: OutputStream, deadLetters: readonly DeadLetter[]): void {
  printTable(out, deadLetters, [
    { title: 'DEAD LETTER', value: (row) => `${row.source} ${shortened(row.event_id)}` },
    { title: 'FAILURES', value: (row) => String(row.attempts), isNumber: true },
    { title: 'WHY', value: (row) => row.last_error },
  ]);
}

function shortened(eventId: string): string {
  return eventId.length > 20 ? `${eventId.slice(0, 16)}…` : eventId;
}
