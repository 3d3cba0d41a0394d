-- The right to set the passwords of some logins, and nothing else: a function that runs with the rights of its owner.
-- In place of part 3 of postgresql.sql; the logins and the role of the action's identity exist. Change the names, then
-- run this once, as an administrator of the server, in the database that the declaration names (postgres, if it names
-- none).
--
-- The action calls it with a SCRAM verifier; it takes no other password, and no login that is not in rotate.logins. It
-- also notes the operation in the login's comment, by which the next run knows that vault and server agree.
--
-- What it does not change: whoever may set a login's password can log in as it.

CREATE ROLE rotate_owner NOLOGIN CREATEROLE;
GRANT rotate_owner TO CURRENT_USER;
CREATE SCHEMA rotate AUTHORIZATION rotate_owner;
SET ROLE rotate_owner;
CREATE TABLE rotate.logins (name text PRIMARY KEY);
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  kept text := regexp_replace(
    coalesce((SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = login), ''),
    ' ?\[keyvault-passwords operation=[0-9a-f]{1,64}\]', '', 'g');
BEGIN
  IF NOT EXISTS (SELECT FROM rotate.logins WHERE name = login) THEN
    RAISE insufficient_privilege USING MESSAGE = 'this login is not on the list of rotate.set_verifier';
  END IF;
  IF verifier IS NULL THEN
    RETURN;
  END IF;
  IF verifier !~ '^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'
    OR operation IS NULL OR operation !~ '^[0-9a-f]{1,64}$' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'expected a SCRAM verifier and the ID of an operation';
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', login, verifier);
  EXECUTE format('COMMENT ON ROLE %I IS %L', login,
    concat_ws(' ', nullif(kept, ''), '[keyvault-passwords operation=' || operation || ']'));
END $$;
REVOKE ALL ON FUNCTION rotate.set_verifier(text, text, text) FROM PUBLIC;
RESET ROLE;
GRANT "orders_a", "orders_b" TO rotate_owner WITH ADMIN OPTION;
INSERT INTO rotate.logins VALUES ('orders_a') ON CONFLICT DO NOTHING;
INSERT INTO rotate.logins VALUES ('orders_b') ON CONFLICT DO NOTHING;
GRANT USAGE ON SCHEMA rotate TO "gh-passwords";
GRANT EXECUTE ON FUNCTION rotate.set_verifier(text, text, text) TO "gh-passwords";
