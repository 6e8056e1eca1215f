-- +goose Up
-- A user signs in by e-mail and password, or by a token of an OIDC issuer, which names the
-- user by issuer and subject.
CREATE TABLE users (
	id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	-- Trimmed, case-folded, in NFC. NULL for a user of an issuer.
	email         text        COLLATE "C" UNIQUE CHECK (octet_length(email) BETWEEN 1 AND 254),
	password_hash text        CHECK (password_hash <> ''),
	issuer        text        COLLATE "C" CHECK (issuer <> ''),
	subject       text        COLLATE "C" CHECK (subject <> ''),
	role          text        NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
	disabled      boolean     NOT NULL DEFAULT false,
	-- Grows with each revocation of the user's sessions.
	auth_version  bigint      NOT NULL DEFAULT 1 CHECK (auth_version >= 1),
	created_at    timestamptz NOT NULL DEFAULT now(),
	UNIQUE (issuer, subject),
	CONSTRAINT users_issuer_with_subject CHECK ((issuer IS NULL) = (subject IS NULL)),
	CONSTRAINT users_email_or_issuer CHECK ((email IS NULL) <> (issuer IS NULL)),
	CONSTRAINT users_password_with_email CHECK (password_hash IS NULL OR email IS NOT NULL)
);

-- +goose Down
DROP TABLE users;
