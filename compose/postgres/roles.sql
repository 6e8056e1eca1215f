-- The roles of the service: todo_migrate owns the schema, todo_service reads and writes its tables. Run this as a
-- superuser in the service's database, before the first migration and again after each one: it can be repeated. A table
-- of a new migration can be read and written at once; the repetition narrows that to the list at the end.
--
-- Neither role has a password yet, and so cannot sign in: ALTER ROLE todo_service PASSWORD '…'.

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'todo_migrate') THEN
		CREATE ROLE todo_migrate;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'todo_service') THEN
		CREATE ROLE todo_service;
	END IF;
	-- By default everyone may connect to every database, and create temporary tables there.
	EXECUTE format('REVOKE ALL ON DATABASE %I, postgres, template1 FROM PUBLIC', current_database());
	EXECUTE format('GRANT CONNECT ON DATABASE %I TO todo_migrate, todo_service', current_database());
END
$$;
ALTER ROLE todo_migrate LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE todo_service LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

ALTER SCHEMA public OWNER TO todo_migrate;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC; -- large objects
GRANT USAGE ON SCHEMA public TO todo_service;

ALTER DEFAULT PRIVILEGES FOR ROLE todo_migrate REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE todo_migrate IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO todo_service;
ALTER DEFAULT PRIVILEGES FOR ROLE todo_migrate IN SCHEMA public GRANT USAGE ON SEQUENCES TO todo_service;
ALTER DEFAULT PRIVILEGES FOR ROLE todo_migrate IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO todo_service;

-- What the service does with each table.
DO $$
DECLARE
	existing record;
BEGIN
	FOR existing IN
		SELECT * FROM (VALUES
			('tasks',            'SELECT, INSERT, UPDATE, DELETE'),
			('events',           'SELECT, INSERT, UPDATE, DELETE'),
			('idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE'),
			('stream',           'SELECT, UPDATE'),
			('users',            'SELECT, INSERT, UPDATE'),
			('goose_db_version', 'SELECT')
		) AS listed (name, privileges) WHERE to_regclass('public.' || name) IS NOT NULL
	LOOP
		EXECUTE format('REVOKE ALL ON public.%I FROM todo_service', existing.name);
		EXECUTE format('GRANT %s ON public.%I TO todo_service', existing.privileges, existing.name);
	END LOOP;
END
$$;
