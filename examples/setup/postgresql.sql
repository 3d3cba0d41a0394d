-- An application with two logins at an Azure Database for PostgreSQL flexible server, and the action, which sets their
-- passwords. Change the names, then run this once, as an Entra administrator of the server, in database postgres.
--
-- Names here and in the declaration: as: gh-passwords, login: [orders_a, orders_b].

-- 1. The role of the action's identity: a principal of Entra, which logs in with a token. OBJECT-ID is that of its
-- service principal: az ad sp show --id CLIENT-ID --query id
SELECT * FROM pgaadauth_create_principal_with_oid('gh-passwords', 'OBJECT-ID', 'service', false, false);

-- 2. Two logins that may do the same. What either creates belongs to orders_owner, so that the other may change it.
-- They get their passwords from the action.
CREATE ROLE orders_owner NOLOGIN;
CREATE ROLE orders_a LOGIN;
CREATE ROLE orders_b LOGIN;
GRANT orders_owner TO orders_a, orders_b;
ALTER ROLE orders_a SET role TO orders_owner;
ALTER ROLE orders_b SET role TO orders_owner;
-- If orders_a is in use already, what it owns must become orders_owner's, in each database: first let the administrator
-- act for both (GRANT orders_a, orders_owner TO CURRENT_USER), then REASSIGN OWNED BY orders_a TO orders_owner.

-- 3. The right to set their passwords. Here it is a right over roles; postgresql-function.sql, in place of what
-- follows, gives less: it cannot be used for anything else, and is the better way on PostgreSQL 15, where CREATEROLE is
-- the right to change every role but superusers.
ALTER ROLE "gh-passwords" CREATEROLE;
DO $$
BEGIN
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE 'GRANT orders_a, orders_b TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
  END IF;
END $$;
