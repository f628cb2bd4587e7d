-- Erasures count the rows of other tables as well, e.g. the requests of the quarantine that they delete.

COMMENT ON COLUMN operator_actions.matched IS 'Number of events that the operator confirmed; of requests for promote; of events and of rows of other tables for erase; 1 for resend; 0 for pause, resume, rehearse and captures, which change no event themselves.';
COMMENT ON COLUMN operator_actions.done IS 'Number of events changed so far, at most matched; of requests that left the quarantine for promote; of events and rows for erase; of a resend 1 once it was accepted; 0 for captures.';
