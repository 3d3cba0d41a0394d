#!/usr/bin/env bash
# A vault, an identity that GitHub Actions jobs can assume and that may write secrets to the vault but not read them, and
# one more, where asked for, that may see their names and dates and nothing else.
#
#   RESOURCE_GROUP=rg-app VAULT=kv-app-prod SUBJECTS='repo:OWNER/REPO:environment:prod' ./setup.sh
#
# It needs az, logged in (az login), as somebody who may make role definitions and assignments in the resource group.
# Run again, it adds what is missing and takes nothing away: what exists is left as it is, what is trusted or granted beyond
# what is asked for is named, and what contradicts it (another NAME_PREFIX, ISSUER or AUDIENCE) ends the script. An existing
# vault keeps its settings; one with access policies instead of roles ends the script before anything is made.
#
# Required:
#   RESOURCE_GROUP      the resource group, which exists
#   VAULT               name of the vault: 3 to 24 letters, digits and single hyphens; unique in all of Azure
#   SUBJECTS            who is trusted: the subjects of GitHub tokens, one a line, exactly as GitHub spells them. Up to 20
# Optional:
#   AUDIT_SUBJECTS      who may audit: subjects likewise, of jobs that see names and dates; an identity of its own is made for them
#   LOCATION            region; the resource group's where not given
#   ISSUER              of the tokens; another one on GHE.com, on GitHub Enterprise Server, or with an enterprise slug
#   AUDIENCE            of the tokens; api://AzureADTokenExchangeUSGov and api://AzureADTokenExchangeChina in those clouds
#   NAME_PREFIX         only secrets whose names begin so may be written (letter case matters to Azure here)
#   DISABLE_SUPERSEDED  true: the action may disable versions that a newer one has superseded (the key `superseded`)
#   RECOVER_DELETED     true: the action may recover soft-deleted secrets (the input `recover-deleted`)
#   SERVERS             database servers in the resource group whose administrator's password the action sets (the key `azure`
#                       of `apply`): their resource IDs, one a line. The identity can then take them over: see README.md
#   EXPIRY_WEBHOOK      an HTTPS address that Event Grid tells of secrets that expire within 30 days or have expired
set -euo pipefail

: "${RESOURCE_GROUP:?name the resource group}" "${VAULT:?name the vault}" "${SUBJECTS:?name the subjects to trust, one a line}"
ISSUER=${ISSUER:-https://token.actions.githubusercontent.com}
AUDIENCE=${AUDIENCE:-api://AzureADTokenExchange}
NAME_PREFIX=${NAME_PREFIX:-}
AUDIT_SUBJECTS=${AUDIT_SUBJECTS:-}

say() { echo "== $*"; }
stop() {
  printf '%s\n' "$@" >&2
  exit 1
}

# there COMMAND...: whether the thing that the command shows exists. Only Azure's own "not found" is a no. Any other failure
# ends the script: to create what is there already would replace its settings.
there() {
  local problem
  if problem=$(az "$@" --output none 2>&1); then return 0; fi
  ! grep -qwE 'ResourceNotFound|VaultNotFound' <<<"$problem" || return 1
  stop "$problem" "stopped: it is not known whether this exists: az $*"
}

group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv)
LOCATION=${LOCATION:-$(az group show --name "$RESOURCE_GROUP" --query location --output tsv)}

# Before anything is made: the roles for servers can be assigned in the resource group alone.
server_kinds='Microsoft\.Sql/servers|Microsoft\.DBforPostgreSQL/flexibleServers|Microsoft\.DBforMySQL/flexibleServers'
while IFS= read -r server; do
  [ -n "$server" ] || continue
  if ! grep -qxiF -e "$group_id" <<<"${server:0:${#group_id}}" ||
    ! grep -qxiE -e "/providers/($server_kinds)/[a-z0-9-]+" <<<"${server:${#group_id}}"; then
    stop "$server is not the resource ID of a database server in $group_id"
  fi
done <<<"${SERVERS:-}"

say "vault $VAULT"
if there keyvault show --name "$VAULT" --resource-group "$RESOURCE_GROUP"; then
  roles=$(az keyvault show --name "$VAULT" --resource-group "$RESOURCE_GROUP" \
    --query properties.enableRbacAuthorization --output tsv)
  [[ "$roles" = [Tt]rue ]] || stop \
    "the vault $VAULT exists and uses access policies: the role that this script makes would mean nothing there." \
    "Either use another vault. Or switch it to roles, after everybody who has an access policy there was given a role:" \
    "  az keyvault update --name $VAULT --resource-group $RESOURCE_GROUP --enable-rbac-authorization true"
else
  az keyvault create --name "$VAULT" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --sku standard \
    --enable-rbac-authorization true --retention-days 90 --enable-purge-protection true --output none
fi
vault_id=$(az keyvault show --name "$VAULT" --resource-group "$RESOURCE_GROUP" --query id --output tsv)

# identity NAME: makes it where it is not there.
identity() {
  say "identity $1"
  there identity show --name "$1" --resource-group "$RESOURCE_GROUP" ||
    az identity create --name "$1" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --output none
}

# show NAME FIELD: of an identity.
show() { az identity show --name "$1" --resource-group "$RESOURCE_GROUP" --query "$2" --output tsv; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# trust NAME VARIABLE: lets the jobs whose subjects that variable holds assume the identity.
trust() {
  local identity=$1 subjects=${!2} credentials subject name other
  say "trust in GitHub, $2"
  credentials=$(az identity federated-credential list --identity-name "$identity" --resource-group "$RESOURCE_GROUP" \
    --query "[].[name, issuer, subject, join(',', audiences)]" --output tsv)
  while IFS= read -r subject; do
    [ -n "$subject" ] || continue
    # Named after its subject: another order or a further subject changes no credential that is there.
    name=github-$(printf %s "$subject" | sha256 | cut -c1-8)
    # shellcheck disable=SC2016 # fields of awk's
    [ -z "$(trusted '$2 == issuer && $3 == subject && $4 == audience')" ] || continue
    # To create a credential of a name that is there would replace its issuer and its audience.
    # shellcheck disable=SC2016
    other=$(trusted '$1 == name || ($2 == issuer && $3 == subject)')
    [ -z "$other" ] || stop "a credential is in the way of one for $subject, $ISSUER and $AUDIENCE:" "  $other" \
      "If nothing needs it any more, take it away and run this again:" \
      "  az identity federated-credential delete --name ${other%%$'\t'*} --identity-name $identity --resource-group $RESOURCE_GROUP"
    az identity federated-credential create --name "$name" --identity-name "$identity" \
      --resource-group "$RESOURCE_GROUP" --issuer "$ISSUER" --subject "$subject" --audiences "$AUDIENCE" --output none
  done <<<"$subjects"
  while IFS= read -r subject; do
    [ -z "$subject" ] || grep -qxF -e "$subject" <<<"$subjects" || echo "trusted too, and not in $2: $subject"
  done < <(cut -f 3 <<<"$credentials")
}

# trusted CONDITION: the credentials of trust, one a line, for which awk's condition holds: name, issuer, subject, audience.
trusted() {
  awk -F '\t' -v name="${name:-}" -v issuer="$ISSUER" -v subject="${subject:-}" -v audience="$AUDIENCE" "$1" <<<"$credentials"
}

# texts TEXT...: the lines of all as JSON texts, each once.
texts() { printf '%s\n' "$@" | awk 'NF && !seen[$0]++ { printf "%s\"%s\"", n++ ? ", " : "", $0 }'; }

# grant IDENTITY ROLE DESCRIPTION ACTIONS CONDITION: makes the custom role, and gives it to the identity at the vault, not
# above it: the identity can do this in this vault and nowhere else.
grant() {
  local role_name=$2 description=$3 data_actions=$4 condition=$5 principal_id role_id assigned before action attempt role
  local granted='' scopes='' actions='' not_actions='' not_data='' definition assignment
  principal_id=$(show "$1" principalId)
  say "role $role_name"
  definition=(az role definition list --name "$role_name" --scope "$group_id" --output tsv)
  role_id=$("${definition[@]}" --query '[0].id')
  if [ -n "$role_id" ]; then
    # To create an assignment that is there succeeds and leaves its condition as it was. So what is there is looked at
    # first, before the role may do more.
    assignment=(az role assignment list --scope "$vault_id" --role "$role_id" --output tsv)
    assigned=$("${assignment[@]}" --query "[?principalId=='$principal_id'] | [0].id")
    before=$("${assignment[@]}" --query "[?principalId=='$principal_id'] | [0].condition || ''")
    [ -z "$assigned" ] || [ "$before" = "$condition" ] || stop \
      "the role $role_name is assigned with another condition than this asks for: ${condition:-none}" \
      "Take that assignment away and run this again, which makes it anew:" \
      "  az role assignment delete --ids $assigned"
    granted=$("${definition[@]}" --query '[0].permissions[].dataActions[]')
    scopes=$("${definition[@]}" --query '[0].assignableScopes[]')
    actions=$("${definition[@]}" --query '[0].permissions[].actions[]')
    not_actions=$("${definition[@]}" --query '[0].permissions[].notActions[]')
    not_data=$("${definition[@]}" --query '[0].permissions[].notDataActions[]')
  fi
  while IFS= read -r action; do
    [ -z "$action" ] || grep -qxF -e "$action" <<<"$data_actions" ||
      echo "granted before, not asked for now, and kept: $action"
  done <<<"$granted"
  if grep -qvxF -e "$granted" <<<"$data_actions"; then
    # To update a role replaces it: so it keeps what it grants and withholds, and where.
    role='{
      "Name": "'$role_name'",
      "IsCustom": true,
      "Description": "'$description'",
      "Actions": ['$(texts "$actions")'],
      "NotActions": ['$(texts "$not_actions")'],
      "DataActions": ['$(texts "$data_actions" "$granted")'],
      "NotDataActions": ['$(texts "$not_data")'],
      "AssignableScopes": ['$(texts "$group_id" "$scopes")']
    }'
    if [ -z "$role_id" ]; then
      role_id=$(az role definition create --role-definition "$role" --query id --output tsv)
    else
      az role definition update --role-definition "$role" --output none
    fi
  fi
  assignment=(--role "$role_id" --scope "$vault_id")
  [ -z "$condition" ] || assignment+=(--condition-version 2.0 --condition "$condition")
  assign "${assignment[@]}"
}

# assign OPTION...: assigns the identity a role. One that is assigned stays as it is.
assign() {
  local attempt
  # A role just made, and an identity just made, are not known everywhere in Azure at once.
  for attempt in 1 2 3 4 5 6; do
    ! az role assignment create --assignee-object-id "$principal_id" --assignee-principal-type ServicePrincipal "$@" \
      --output none || return 0
    [ "$attempt" = 6 ] || sleep 10
  done
  stop "the role could not be assigned; run this again in a few minutes"
}

# server_role NAME DESCRIPTION ACTIONS: the ID of the role of that name, which is made where it is not there.
server_role() {
  local id
  id=$(az role definition list --name "$1" --scope "$group_id" --query '[0].id' --output tsv)
  [ -n "$id" ] || id=$(az role definition create --query id --output tsv --role-definition '{
    "Name": "'"$1"'",
    "IsCustom": true,
    "Description": "'"$2"'",
    "Actions": ['"$(texts "$3")"'],
    "NotActions": [],
    "DataActions": [],
    "NotDataActions": [],
    "AssignableScopes": ["'"$group_id"'"]
  }')
  echo "$id"
}

# Never secrets/getSecret/action: what the action cannot do, whoever takes it over cannot do either.
data_actions='Microsoft.KeyVault/vaults/secrets/setSecret/action
Microsoft.KeyVault/vaults/secrets/readMetadata/action'
# To note that a server has a version's password is to update the version.
[ "${DISABLE_SUPERSEDED:-false}" != true ] && [ -z "${SERVERS:-}" ] || data_actions+=$'\n'Microsoft.KeyVault/vaults/secrets/update/action
[ "${RECOVER_DELETED:-false}" != true ] || data_actions+=$'\n'Microsoft.KeyVault/vaults/secrets/recover/action

condition=
if [ -n "$NAME_PREFIX" ]; then
  # All that writes is bound to the prefix, also what the role does not grant yet: an option that is added later then needs
  # no other condition. readMetadata is not: a condition on the name would make the list call, which names no secret,
  # answer 403.
  condition="((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR (@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '$NAME_PREFIX'))"
  condition+=" AND ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/update/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '$NAME_PREFIX'))"
  condition+=" AND ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/recover/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '$NAME_PREFIX'))"
fi

identity "$VAULT-passwords"
trust "$VAULT-passwords" SUBJECTS
grant "$VAULT-passwords" "Key Vault Secret Writer (write-only) $VAULT" \
  "Sets secrets and reads their metadata. Cannot read a value." "$data_actions" "$condition"

if [ -n "${SERVERS:-}" ]; then
  say "roles for the servers"
  principal_id=$(az identity show --name "$VAULT-passwords" --resource-group "$RESOURCE_GROUP" --query principalId --output tsv)
  # Who may write a server may do with it whatever its owner may. Azure has no action for the password alone.
  setter_id=$(server_role "Database Password Setter $VAULT" \
    "Changes database servers: their administrator's password and everything else." \
    'Microsoft.Sql/servers/read
Microsoft.Sql/servers/write
Microsoft.DBforPostgreSQL/flexibleServers/read
Microsoft.DBforPostgreSQL/flexibleServers/write
Microsoft.DBforMySQL/flexibleServers/read
Microsoft.DBforMySQL/flexibleServers/write
Microsoft.Authorization/permissions/read
Microsoft.Authorization/locks/read')
  # How a change ends is asked for beside the server, at the resource group.
  follower_id=$(server_role "Database Operation Reader $VAULT" "Sees how changes of database servers end." \
    'Microsoft.Sql/locations/*/read
Microsoft.DBforPostgreSQL/locations/*/read
Microsoft.DBforMySQL/locations/*/read')
  while IFS= read -r server; do
    [ -z "$server" ] || assign --role "$setter_id" --scope "$server"
  done <<<"$SERVERS"
  assign --role "$follower_id" --scope "$group_id"
fi

# For the mode `audit`: an identity of its own, so that a job that only looks cannot write.
if [ -n "$AUDIT_SUBJECTS" ]; then
  identity "$VAULT-audit"
  trust "$VAULT-audit" AUDIT_SUBJECTS
  grant "$VAULT-audit" "Key Vault Secret Metadata Reader $VAULT" \
    "Reads the metadata of secrets. Cannot read a value and cannot write." \
    Microsoft.KeyVault/vaults/secrets/readMetadata/action ''
fi

say "audit log"
there monitor log-analytics workspace show --workspace-name "$VAULT-logs" --resource-group "$RESOURCE_GROUP" ||
  az monitor log-analytics workspace create --workspace-name "$VAULT-logs" --resource-group "$RESOURCE_GROUP" \
    --location "$LOCATION" --sku PerGB2018 --retention-time 90 --output none
workspace_id=$(az monitor log-analytics workspace show --workspace-name "$VAULT-logs" --resource-group "$RESOURCE_GROUP" \
  --query id --output tsv)
# Who set, listed or read which secret, and when. The log holds no value.
audit=$(az monitor diagnostic-settings list --resource "$vault_id" --query "(value || @)[?name=='audit'].name" --output tsv)
[ -n "$audit" ] || az monitor diagnostic-settings create --name audit --resource "$vault_id" --workspace "$workspace_id" \
  --logs '[{"categoryGroup": "audit", "enabled": true}]' --output none

if [ -n "${EXPIRY_WEBHOOK:-}" ]; then
  say "events of expiry"
  topic=(--system-topic-name "$VAULT-events" --resource-group "$RESOURCE_GROUP")
  there eventgrid system-topic show --name "$VAULT-events" --resource-group "$RESOURCE_GROUP" ||
    az eventgrid system-topic create --name "$VAULT-events" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" \
      --topic-type Microsoft.KeyVault.vaults --source "$vault_id" --output none
  if there eventgrid system-topic event-subscription show --name expiry "${topic[@]}"; then
    echo "the subscription expiry exists and keeps its address; az eventgrid system-topic event-subscription update changes it"
  else
    az eventgrid system-topic event-subscription create --name expiry "${topic[@]}" \
      --endpoint-type webhook --endpoint "$EXPIRY_WEBHOOK" --event-delivery-schema cloudeventschemav1_0 \
      --included-event-types Microsoft.KeyVault.SecretNearExpiry Microsoft.KeyVault.SecretExpired --output none
  fi
fi

say "variables for the repository or the environment (variables, not secrets)"
echo "AZURE_TENANT_ID=$(az account show --query tenantId --output tsv)"
echo "AZURE_CLIENT_ID=$(show "$VAULT-passwords" clientId)"
[ -z "$AUDIT_SUBJECTS" ] || echo "AZURE_AUDIT_CLIENT_ID=$(show "$VAULT-audit" clientId)"
echo "VAULT=$VAULT"
