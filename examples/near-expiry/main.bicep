// 30 days before a secret expires Key Vault tells Event Grid, that a Logic App, and that GitHub, which starts the job.
//
//   az deployment group create --resource-group RG --template-file main.bicep \
//     --parameters vaultName=kv-app-prod repository=OWNER/REPO tokenVaultName=kv-tokens
//
// Both vaults exist, in this resource group.

@description('Name of the vault whose secrets are watched.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('The repository that has the workflow: OWNER/REPO.')
param repository string

@description('Name of the vault that holds the token for GitHub. Better another one than vaultName (README.md).')
@minLength(3)
@maxLength(24)
param tokenVaultName string

@description('Name of the secret that is the token.')
param tokenSecretName string = 'github-dispatch-token'

@description('Where given, only secrets whose names begin so are announced; letter case does not matter.')
param namePrefix string = ''

@description('The API: https://HOST/api/v3 on Enterprise Server, https://api.SUBDOMAIN.ghe.com on GHE.com.')
param githubApi string = 'https://api.github.com'

@description('Name of the vault\'s Event Grid topic. A vault has one: if there is one already, its name.')
param topicName string = '${vaultName}-events'

@description('Region of what is made here: the vault\'s, since its topic must be in that.')
param location string = resourceGroup().location

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource tokenVault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: tokenVaultName
}

resource token 'Microsoft.KeyVault/vaults/secrets@2026-02-01' existing = {
  parent: tokenVault
  name: tokenSecretName
}

resource app 'Microsoft.Logic/workflows@2019-05-01' = {
  name: '${vaultName}-near-expiry'
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('logic-app.json')
    parameters: {
      vaultId: {
        value: vault.id
      }
      tokenUrl: {
        value: '${tokenVault.properties.vaultUri}secrets/${tokenSecretName}'
      }
      dispatchUrl: {
        value: '${githubApi}/repos/${repository}/dispatches'
      }
    }
  }
}

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6' // the built-in role Key Vault Secrets User

// It may read the one secret that is the token, and nothing else.
resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(token.id, app.id, 'reader')
  scope: token
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
    principalId: app.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

@onlyIfNotExists()
resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: location
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource nearExpiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'near-expiry'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        // With its signature: who has this address can announce secrets. Only Event Grid gets it.
        endpointUrl: listCallbackUrl('${app.id}/triggers/event', '2019-05-01').value
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      subjectBeginsWith: namePrefix
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
      ]
    }
  }
}
