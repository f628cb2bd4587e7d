-- Providers that hand their secret over on first contact: taken only while an operator waits for it.

CREATE TABLE setup_windows (
  source text PRIMARY KEY,
  public_key text NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  sealed_secret bytea,
  handed_over_at timestamptz,
  CONSTRAINT source_is_short CHECK (length(source) BETWEEN 1 AND 63),
  CONSTRAINT secret_has_time CHECK ((sealed_secret IS NULL) = (handed_over_at IS NULL)),
  CONSTRAINT sealed_secret_is_short CHECK (octet_length(sealed_secret) <= 1024)
);

COMMENT ON TABLE setup_windows IS 'One row while postbell setup <source> waits for a provider to hand over its secret; otherwise empty. The secret is never in it in the clear.';
COMMENT ON COLUMN setup_windows.source IS 'The source that is being set up.';
COMMENT ON COLUMN setup_windows.public_key IS 'Made by the waiting command, which alone has the private half (RSA, PEM).';
COMMENT ON COLUMN setup_windows.opened_at IS 'When the command began to wait.';
COMMENT ON COLUMN setup_windows.expires_at IS 'Nothing is taken after this.';
COMMENT ON COLUMN setup_windows.sealed_secret IS 'The first secret that was handed over, encrypted for public_key (RSA-OAEP with SHA-256); NULL until then. A second one is refused.';
COMMENT ON COLUMN setup_windows.handed_over_at IS 'When it was handed over.';
