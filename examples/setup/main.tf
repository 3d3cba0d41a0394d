# A vault, an identity that GitHub Actions jobs can assume and that may write secrets to the vault but not read them, and
# one more, where asked for, that may see their names and dates and nothing else.
#
#   terraform apply -var resource_group=RG -var vault_name=kv-app-prod \
#     -var 'subjects=["repo:OWNER/REPO:environment:prod"]'

terraform {
  required_version = ">= 1.9"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.0"
    }
  }
}

provider "azurerm" {
  features {}
}

variable "resource_group" {
  description = "Name of the resource group, which exists."
  type        = string
}

variable "vault_name" {
  description = "Name of the vault: 3 to 24 letters, digits and single hyphens; unique in all of Azure."
  type        = string
}

variable "subjects" {
  description = "Who is trusted: the subjects of GitHub tokens, exactly as GitHub spells them (README.md). Up to 20."
  type        = list(string)

  validation {
    condition     = length(var.subjects) >= 1 && length(var.subjects) <= 20
    error_message = "An identity takes 1 to 20 federated credentials."
  }
}

variable "audit_subjects" {
  description = "Who may audit: subjects likewise, of jobs that see names and dates. None: no identity for them is made."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.audit_subjects) <= 20
    error_message = "An identity takes 20 federated credentials at most."
  }
}

variable "issuer" {
  description = "Issuer of the tokens. Another one on GHE.com, on GitHub Enterprise Server, or with an enterprise slug."
  type        = string
  default     = "https://token.actions.githubusercontent.com"
}

variable "audience" {
  description = "Audience of the tokens: api://AzureADTokenExchangeUSGov and api://AzureADTokenExchangeChina in those clouds."
  type        = string
  default     = "api://AzureADTokenExchange"
}

variable "name_prefix" {
  description = "Where given, only secrets whose names begin so may be written, disabled or recovered (letter case matters to Azure here)."
  type        = string
  default     = ""
}

variable "disable_superseded" {
  description = "Lets the action disable versions that a newer one has superseded (the key `superseded`)."
  type        = bool
  default     = false
}

variable "recover_deleted" {
  description = "Lets the action recover soft-deleted secrets (the input `recover-deleted`)."
  type        = bool
  default     = false
}

variable "servers" {
  description = "Database servers in the resource group whose administrator's password the action sets (the key `azure` of `apply`): their resource IDs. The identity can then take them over: see README.md."
  type        = list(string)
  default     = []
}

variable "expiry_webhook" {
  description = "Where given, an HTTPS address that Event Grid tells of secrets that expire within 30 days or have expired."
  type        = string
  default     = ""
  sensitive   = true
}

locals {
  # Never secrets/getSecret/action: what the action cannot do, whoever takes it over cannot do either.
  data_actions = concat(
    [
      "Microsoft.KeyVault/vaults/secrets/setSecret/action",
      "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    ],
    # To note that a server has a version's password is to update the version.
    var.disable_superseded || length(var.servers) > 0 ? ["Microsoft.KeyVault/vaults/secrets/update/action"] : [],
    var.recover_deleted ? ["Microsoft.KeyVault/vaults/secrets/recover/action"] : [],
  )

  # All that writes is bound to the prefix, also what the role does not grant. readMetadata is not: a condition on the name
  # would make the list call, which names no secret, answer 403.
  name_condition = join(" AND ", [
    "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR (@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '${var.name_prefix}'))",
    "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/update/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '${var.name_prefix}'))",
    "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/recover/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '${var.name_prefix}'))",
  ])

  audits = length(var.audit_subjects) > 0 ? 1 : 0
  events = nonsensitive(var.expiry_webhook != "")
}

data "azurerm_resource_group" "this" {
  name = var.resource_group
}

data "azurerm_client_config" "current" {}

resource "azurerm_key_vault" "this" {
  name                       = var.vault_name
  location                   = data.azurerm_resource_group.this.location
  resource_group_name        = data.azurerm_resource_group.this.name
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  soft_delete_retention_days = 90
  purge_protection_enabled   = true
}

resource "azurerm_user_assigned_identity" "passwords" {
  name                = "${var.vault_name}-passwords"
  location            = data.azurerm_resource_group.this.location
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_federated_identity_credential" "github" {
  # Keyed by and named after the subject: another order or a further subject changes no credential that is there.
  for_each                  = toset(var.subjects)
  name                      = "github-${substr(sha256(each.key), 0, 8)}"
  user_assigned_identity_id = azurerm_user_assigned_identity.passwords.id
  issuer                    = var.issuer
  subject                   = each.key
  audience                  = [var.audience]
}

resource "azurerm_role_definition" "writer" {
  name              = "Key Vault Secret Writer (write-only) ${var.vault_name}"
  description       = "Sets secrets and reads their metadata. Cannot read a value."
  scope             = data.azurerm_resource_group.this.id
  assignable_scopes = [data.azurerm_resource_group.this.id]

  permissions {
    actions      = []
    data_actions = local.data_actions
  }
}

# At the vault, not above it: the identity can write to this vault and to nothing else.
resource "azurerm_role_assignment" "writer" {
  scope              = azurerm_key_vault.this.id
  role_definition_id = azurerm_role_definition.writer.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.passwords.principal_id
  principal_type     = "ServicePrincipal"
  condition          = var.name_prefix == "" ? null : local.name_condition
  condition_version  = var.name_prefix == "" ? null : "2.0"
}

# For the mode `audit`: an identity of its own, so that a job that only looks cannot write.
resource "azurerm_user_assigned_identity" "audit" {
  count               = local.audits
  name                = "${var.vault_name}-audit"
  location            = data.azurerm_resource_group.this.location
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_federated_identity_credential" "audit" {
  for_each                  = toset(var.audit_subjects)
  name                      = "github-${substr(sha256(each.key), 0, 8)}"
  user_assigned_identity_id = azurerm_user_assigned_identity.audit[0].id
  issuer                    = var.issuer
  subject                   = each.key
  audience                  = [var.audience]
}

resource "azurerm_role_definition" "reader" {
  count             = local.audits
  name              = "Key Vault Secret Metadata Reader ${var.vault_name}"
  description       = "Reads the metadata of secrets. Cannot read a value and cannot write."
  scope             = data.azurerm_resource_group.this.id
  assignable_scopes = [data.azurerm_resource_group.this.id]

  permissions {
    actions      = []
    data_actions = ["Microsoft.KeyVault/vaults/secrets/readMetadata/action"]
  }
}

resource "azurerm_role_assignment" "reader" {
  count              = local.audits
  scope              = azurerm_key_vault.this.id
  role_definition_id = azurerm_role_definition.reader[0].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.audit[0].principal_id
  principal_type     = "ServicePrincipal"
}

# Who may write a server may do with it whatever its owner may. Azure has no action for the password alone.
resource "azurerm_role_definition" "setter" {
  count             = length(var.servers) > 0 ? 1 : 0
  name              = "Database Password Setter ${var.vault_name}"
  description       = "Changes database servers: their administrator's password and everything else."
  scope             = data.azurerm_resource_group.this.id
  assignable_scopes = [data.azurerm_resource_group.this.id]

  permissions {
    actions = [
      "Microsoft.Sql/servers/read",
      "Microsoft.Sql/servers/write",
      "Microsoft.DBforPostgreSQL/flexibleServers/read",
      "Microsoft.DBforPostgreSQL/flexibleServers/write",
      "Microsoft.DBforMySQL/flexibleServers/read",
      "Microsoft.DBforMySQL/flexibleServers/write",
      "Microsoft.Authorization/permissions/read",
      "Microsoft.Authorization/locks/read",
    ]
  }
}

resource "azurerm_role_assignment" "setter" {
  for_each           = toset(var.servers)
  scope              = each.key
  role_definition_id = azurerm_role_definition.setter[0].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.passwords.principal_id
  principal_type     = "ServicePrincipal"
}

# How a change ends is asked for beside the server, at the resource group.
resource "azurerm_role_definition" "follower" {
  count             = length(var.servers) > 0 ? 1 : 0
  name              = "Database Operation Reader ${var.vault_name}"
  description       = "Sees how changes of database servers end."
  scope             = data.azurerm_resource_group.this.id
  assignable_scopes = [data.azurerm_resource_group.this.id]

  permissions {
    actions = [
      "Microsoft.Sql/locations/*/read",
      "Microsoft.DBforPostgreSQL/locations/*/read",
      "Microsoft.DBforMySQL/locations/*/read",
    ]
  }
}

resource "azurerm_role_assignment" "follower" {
  count              = length(var.servers) > 0 ? 1 : 0
  scope              = data.azurerm_resource_group.this.id
  role_definition_id = azurerm_role_definition.follower[0].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.passwords.principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_log_analytics_workspace" "logs" {
  name                = "${var.vault_name}-logs"
  location            = data.azurerm_resource_group.this.location
  resource_group_name = data.azurerm_resource_group.this.name
  sku                 = "PerGB2018"
  retention_in_days   = 90
}

# Who set, listed or read which secret, and when. The log holds no value.
resource "azurerm_monitor_diagnostic_setting" "audit" {
  name                       = "audit"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.logs.id

  enabled_log {
    category_group = "audit"
  }
}

resource "azurerm_eventgrid_system_topic" "events" {
  count               = local.events ? 1 : 0
  name                = "${var.vault_name}-events"
  location            = data.azurerm_resource_group.this.location
  resource_group_name = data.azurerm_resource_group.this.name
  source_resource_id  = azurerm_key_vault.this.id
  topic_type          = "Microsoft.KeyVault.vaults"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "expiry" {
  count                 = local.events ? 1 : 0
  name                  = "expiry"
  system_topic          = azurerm_eventgrid_system_topic.events[0].name
  resource_group_name   = data.azurerm_resource_group.this.name
  event_delivery_schema = "CloudEventSchemaV1_0"
  included_event_types = [
    "Microsoft.KeyVault.SecretNearExpiry",
    "Microsoft.KeyVault.SecretExpired",
  ]

  webhook_endpoint {
    url = var.expiry_webhook
  }
}

output "tenant_id" {
  description = "The input tenant-id."
  value       = data.azurerm_client_config.current.tenant_id
}

output "client_id" {
  description = "The input client-id."
  value       = azurerm_user_assigned_identity.passwords.client_id
}

output "audit_client_id" {
  description = "The input client-id of audits."
  value       = one(azurerm_user_assigned_identity.audit[*].client_id)
}

output "vault" {
  description = "The input vault."
  value       = azurerm_key_vault.this.name
}
