#!/usr/bin/env bash
# A vault, and an identity that GitHub Actions jobs can assume and that may write secrets to the vault but not read them.
#
#   RESOURCE_GROUP=rg-app VAULT=kv-app-prod SUBJECTS='repo:OWNER/REPO:environment:prod' ./setup.sh
#
# It needs az, logged in (az login), as somebody who may make role definitions and assignments in the resource group.
# Running it again changes nothing that is as it should be. It takes nothing away: a credential for a subject that is not in
# SUBJECTS is named, and a role assigned with another NAME_PREFIX ends the script.
#
# Required:
#   RESOURCE_GROUP      the resource group, which exists
#   VAULT               name of the vault: 3 to 24 letters, digits and single hyphens; unique in all of Azure
#   SUBJECTS            who is trusted: the subjects of GitHub tokens, one a line, exactly as GitHub spells them. Up to 20
# Optional:
#   LOCATION            region; the resource group's where not given
#   ISSUER              of the tokens; another one on GHE.com, on GitHub Enterprise Server, or with an enterprise slug
#   AUDIENCE            of the tokens; api://AzureADTokenExchangeUSGov and api://AzureADTokenExchangeChina in those clouds
#   NAME_PREFIX         only secrets whose names begin so may be written (letter case matters to Azure here)
#   DISABLE_SUPERSEDED  true: the action may disable versions that a newer one has superseded (the key `superseded`)
#   RECOVER_DELETED     true: the action may recover soft-deleted secrets (the input `recover-deleted`)
#   EXPIRY_WEBHOOK      an HTTPS address that Event Grid tells of secrets that expire within 30 days or have expired
set -euo pipefail

: "${RESOURCE_GROUP:?name the resource group}" "${VAULT:?name the vault}" "${SUBJECTS:?name the subjects to trust, one a line}"
ISSUER=${ISSUER:-https://token.actions.githubusercontent.com}
AUDIENCE=${AUDIENCE:-api://AzureADTokenExchange}
NAME_PREFIX=${NAME_PREFIX:-}

say() { echo "== $*"; }

group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv)
LOCATION=${LOCATION:-$(az group show --name "$RESOURCE_GROUP" --query location --output tsv)}

say "vault $VAULT"
if ! az keyvault show --name "$VAULT" --resource-group "$RESOURCE_GROUP" --output none 2>/dev/null; then
  az keyvault create --name "$VAULT" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --sku standard \
    --enable-rbac-authorization true --retention-days 90 --enable-purge-protection true --output none
fi
vault_id=$(az keyvault show --name "$VAULT" --resource-group "$RESOURCE_GROUP" --query id --output tsv)

say "identity $VAULT-passwords"
az identity create --name "$VAULT-passwords" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" --output none
principal_id=$(az identity show --name "$VAULT-passwords" --resource-group "$RESOURCE_GROUP" --query principalId --output tsv)
client_id=$(az identity show --name "$VAULT-passwords" --resource-group "$RESOURCE_GROUP" --query clientId --output tsv)

say "trust in GitHub"
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
while IFS= read -r subject; do
  [ -n "$subject" ] || continue
  # Named after its subject: another order or a further subject changes no credential that is there.
  name=github-$(printf %s "$subject" | sha256 | cut -c1-8)
  az identity federated-credential create --name "$name" --identity-name "$VAULT-passwords" \
    --resource-group "$RESOURCE_GROUP" --issuer "$ISSUER" --subject "$subject" --audiences "$AUDIENCE" --output none
done <<<"$SUBJECTS"
trusted=$(az identity federated-credential list --identity-name "$VAULT-passwords" --resource-group "$RESOURCE_GROUP" \
  --query '[].subject' --output tsv)
while IFS= read -r subject; do
  [ -z "$subject" ] || grep -qxF -e "$subject" <<<"$SUBJECTS" || echo "trusted too, and not in SUBJECTS: $subject"
done <<<"$trusted"

# Never secrets/getSecret/action: what the action cannot do, whoever takes it over cannot do either.
data_actions='"Microsoft.KeyVault/vaults/secrets/setSecret/action", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"'
if [ "${DISABLE_SUPERSEDED:-false}" = true ]; then
  data_actions+=', "Microsoft.KeyVault/vaults/secrets/update/action"'
fi
if [ "${RECOVER_DELETED:-false}" = true ]; then
  data_actions+=', "Microsoft.KeyVault/vaults/secrets/recover/action"'
fi
role_name="Key Vault Secret Writer (write-only) $VAULT"
role='{
  "Name": "'$role_name'",
  "IsCustom": true,
  "Description": "Sets secrets and reads their metadata. Cannot read a value.",
  "Actions": [],
  "NotActions": [],
  "DataActions": ['$data_actions'],
  "NotDataActions": [],
  "AssignableScopes": ["'$group_id'"]
}'

say "role $role_name"
role_id=$(az role definition list --name "$role_name" --scope "$group_id" --query '[0].id' --output tsv)
if [ -z "$role_id" ]; then
  role_id=$(az role definition create --role-definition "$role" --query id --output tsv)
else
  az role definition update --role-definition "$role" --output none
fi

# At the vault, not above it: the identity can write to this vault and to nothing else.
condition=
assignment=(--assignee-object-id "$principal_id" --assignee-principal-type ServicePrincipal --role "$role_id" --scope "$vault_id")
if [ -n "$NAME_PREFIX" ]; then
  # Only setSecret is conditioned: a condition on the name would make the list call, which names no secret, answer 403.
  condition="((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR (@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '$NAME_PREFIX'))"
  assignment+=(--condition-version 2.0 --condition "$condition")
fi
say "role assignment at the vault"
# To create an assignment that is there succeeds and leaves its condition as it was: so what is there is looked at first.
there=(az role assignment list --scope "$vault_id" --role "$role_id" --output tsv)
assigned=$("${there[@]}" --query "[?principalId=='$principal_id'] | [0].id")
if [ -n "$assigned" ] && [ "$("${there[@]}" --query "[?principalId=='$principal_id'] | [0].condition || ''")" != "$condition" ]; then
  echo "the role is assigned with another condition than NAME_PREFIX='$NAME_PREFIX' asks for; take that assignment away," \
    "then run this again: az role assignment delete --ids $assigned" >&2
  exit 1
fi
# A role just made, and an identity just made, are not known everywhere in Azure at once.
for attempt in 1 2 3 4 5 6; do
  if az role assignment create "${assignment[@]}" --output none; then
    break
  fi
  if [ "$attempt" = 6 ]; then
    echo "the role could not be assigned; run this again in a few minutes" >&2
    exit 1
  fi
  sleep 10
done

say "audit log"
az monitor log-analytics workspace create --workspace-name "$VAULT-logs" --resource-group "$RESOURCE_GROUP" \
  --location "$LOCATION" --sku PerGB2018 --retention-time 90 --output none
workspace_id=$(az monitor log-analytics workspace show --workspace-name "$VAULT-logs" --resource-group "$RESOURCE_GROUP" \
  --query id --output tsv)
# Who set, listed or read which secret, and when. The log holds no value.
az monitor diagnostic-settings create --name audit --resource "$vault_id" --workspace "$workspace_id" \
  --logs '[{"categoryGroup": "audit", "enabled": true}]' --output none

if [ -n "${EXPIRY_WEBHOOK:-}" ]; then
  say "events of expiry"
  az eventgrid system-topic create --name "$VAULT-events" --resource-group "$RESOURCE_GROUP" --location "$LOCATION" \
    --topic-type Microsoft.KeyVault.vaults --source "$vault_id" --output none
  az eventgrid system-topic event-subscription create --name expiry --system-topic-name "$VAULT-events" \
    --resource-group "$RESOURCE_GROUP" --endpoint-type webhook --endpoint "$EXPIRY_WEBHOOK" \
    --event-delivery-schema cloudeventschemav1_0 \
    --included-event-types Microsoft.KeyVault.SecretNearExpiry Microsoft.KeyVault.SecretExpired --output none
fi

say "variables for the repository or the environment (variables, not secrets)"
echo "AZURE_TENANT_ID=$(az account show --query tenantId --output tsv)"
echo "AZURE_CLIENT_ID=$client_id"
echo "VAULT=$VAULT"
