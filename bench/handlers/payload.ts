// What both handlers read of the event.
export interface Payment {
  data: { object: { amount: number } };
}
