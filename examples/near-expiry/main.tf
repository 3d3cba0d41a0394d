# 30 days before a secret expires Key Vault tells Event Grid, that a Logic App, and that GitHub, which starts the job.
#
#   terraform apply -var resource_group=RG -var vault_name=kv-app-prod -var repository=OWNER/REPO \
#     -var token_vault_name=kv-tokens
#
# Both vaults exist, in this resource group.

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
  description = "Name of the vault whose secrets are watched."
  type        = string
}

variable "repository" {
  description = "The repository that has the workflow: OWNER/REPO."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z._-]+/[0-9A-Za-z._-]+$", var.repository))
    error_message = "Expected OWNER/REPO."
  }
}

variable "token_vault_name" {
  description = "Name of the vault that holds the token for GitHub. Better another one than vault_name (README.md)."
  type        = string
}

variable "token_secret_name" {
  description = "Name of the secret that is the token."
  type        = string
  default     = "github-dispatch-token"
}

variable "name_prefix" {
  description = "Where given, only secrets whose names begin so are announced (letter case does not matter)."
  type        = string
  default     = ""
}

variable "github_api" {
  description = "The API: https://HOST/api/v3 on Enterprise Server, https://api.SUBDOMAIN.ghe.com on GHE.com."
  type        = string
  default     = "https://api.github.com"
}

variable "topic_name" {
  description = "Where the vault has an Event Grid topic already, its name. A vault has one."
  type        = string
  default     = ""
}

locals {
  definition = jsondecode(file("${path.module}/logic-app.json"))
  topic      = var.topic_name == "" ? azurerm_eventgrid_system_topic.events[0].name : var.topic_name
}

data "azurerm_resource_group" "this" {
  name = var.resource_group
}

data "azurerm_key_vault" "watched" {
  name                = var.vault_name
  resource_group_name = data.azurerm_resource_group.this.name
}

data "azurerm_key_vault" "token" {
  name                = var.token_vault_name
  resource_group_name = data.azurerm_resource_group.this.name
}

resource "azurerm_logic_app_workflow" "this" {
  name                = "${var.vault_name}-near-expiry"
  location            = data.azurerm_resource_group.this.location
  resource_group_name = data.azurerm_resource_group.this.name
  workflow_parameters = { for name, parameter in local.definition.parameters : name => jsonencode(parameter) }
  parameters = {
    vaultId     = data.azurerm_key_vault.watched.id
    tokenUrl    = "${data.azurerm_key_vault.token.vault_uri}secrets/${var.token_secret_name}"
    dispatchUrl = "${var.github_api}/repos/${var.repository}/dispatches"
  }

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_logic_app_trigger_http_request" "event" {
  name         = "event"
  logic_app_id = azurerm_logic_app_workflow.this.id
  method       = local.definition.triggers.event.inputs.method
  schema       = jsonencode(local.definition.triggers.event.inputs.schema)
}

# One action, which has all others in it: Azure takes no action before those that it runs after.
resource "azurerm_logic_app_action_custom" "all" {
  for_each     = local.definition.actions
  name         = each.key
  logic_app_id = azurerm_logic_app_workflow.this.id
  body         = jsonencode(each.value)
  depends_on   = [azurerm_logic_app_trigger_http_request.event]
}

# It may read the one secret that is the token, and nothing else.
resource "azurerm_role_assignment" "reader" {
  scope                = "${data.azurerm_key_vault.token.id}/secrets/${var.token_secret_name}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_logic_app_workflow.this.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic" "events" {
  count               = var.topic_name == "" ? 1 : 0
  name                = "${var.vault_name}-events"
  location            = data.azurerm_key_vault.watched.location
  resource_group_name = data.azurerm_resource_group.this.name
  source_resource_id  = data.azurerm_key_vault.watched.id
  topic_type          = "Microsoft.KeyVault.vaults"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "near_expiry" {
  name                  = "near-expiry"
  system_topic          = local.topic
  resource_group_name   = data.azurerm_resource_group.this.name
  event_delivery_schema = "EventGridSchema"
  included_event_types  = ["Microsoft.KeyVault.SecretNearExpiry"]
  depends_on            = [azurerm_logic_app_action_custom.all]

  subject_filter {
    subject_begins_with = var.name_prefix
  }

  webhook_endpoint {
    # With its signature: who has this address can announce secrets. Event Grid gets it, and the state file has it.
    url = azurerm_logic_app_trigger_http_request.event.callback_url
  }
}
