// A vault, an identity that GitHub Actions jobs can assume and that may write secrets to the vault but not read them, and
// one more, where asked for, that may see their names and dates and nothing else.
//
//   az deployment group create --resource-group RG --template-file main.bicep \
//     --parameters vaultName=kv-app-prod subjects='["repo:OWNER/REPO:environment:prod"]'

@description('Name of the vault: 3 to 24 letters, digits and single hyphens; unique in all of Azure.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('Who is trusted: the subjects of GitHub tokens, exactly as GitHub spells them (README.md). Up to 20.')
@minLength(1)
@maxLength(20)
param subjects string[]

@description('Who may audit: subjects likewise, of jobs that see names and dates. None: no identity for them is made.')
@maxLength(20)
param auditSubjects string[] = []

@description('Region of everything made here.')
param location string = resourceGroup().location

@description('Issuer of the tokens. Another one on GHE.com, on GitHub Enterprise Server, or with an enterprise slug.')
param issuer string = 'https://token.actions.githubusercontent.com'

@description('Audience of the tokens: api://AzureADTokenExchangeUSGov and api://AzureADTokenExchangeChina in those clouds.')
param audience string = 'api://AzureADTokenExchange'

@description('Where given, only secrets whose names begin so may be written, disabled or recovered (letter case matters to Azure here).')
param namePrefix string = ''

@description('Lets the action disable versions that a newer one has superseded (the key `superseded`).')
param disableSuperseded bool = false

@description('Lets the action recover soft-deleted secrets (the input `recover-deleted`).')
param recoverDeleted bool = false

@description('Azure SQL logical servers in the resource group whose administrator\'s password the action sets (the key `azure` of `apply`): their names. The identity can then take them over: see README.md.')
param sqlServers string[] = []

@description('Likewise, Azure Database for PostgreSQL flexible servers.')
param postgresqlServers string[] = []

@description('Likewise, Azure Database for MySQL flexible servers.')
param mysqlServers string[] = []

@description('Where given, an HTTPS address that Event Grid tells of secrets that expire within 30 days or have expired.')
@secure()
param expiryWebhook string = ''

var withServers = !empty(concat(sqlServers, postgresqlServers, mysqlServers))

// To note that a server has a version's password is to update the version.
// Never secrets/getSecret/action: what the action cannot do, whoever takes it over cannot do either.
var dataActions = concat([
  'Microsoft.KeyVault/vaults/secrets/setSecret/action'
  'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
], disableSuperseded || withServers ? ['Microsoft.KeyVault/vaults/secrets/update/action'] : [],
   recoverDeleted ? ['Microsoft.KeyVault/vaults/secrets/recover/action'] : [])

// All that writes is bound to the prefix, also what the role does not grant. readMetadata is not: a condition on the name
// would make the list call, which names no secret, answer 403.
var nameConditions = [
  '''((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR (@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'PREFIX'))'''
  '''((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/update/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'PREFIX'))'''
  '''((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/recover/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'PREFIX'))'''
]

// A vault that exists is left as it is: to deploy it again would drop its access policies and network rules. (Bicep 0.38 or
// newer.) It must use roles, not access policies; README.md says more.
@onlyIfNotExists()
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${vaultName}-passwords'
  location: location
}

// One at a time: Azure refuses to make two credentials of one identity at once. Named after the subject: another order or a
// further subject changes no credential that is there.
@batchSize(1)
resource trust 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [
  for subject in subjects: {
    parent: identity
    name: 'github-${uniqueString(subject)}'
    properties: {
      issuer: issuer
      subject: subject
      audiences: [audience]
    }
  }
]

resource writer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, vaultName, 'secret-writer')
  properties: {
    roleName: 'Key Vault Secret Writer (write-only) ${vaultName}'
    description: 'Sets secrets and reads their metadata. Cannot read a value.'
    type: 'CustomRole'
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: dataActions
        notDataActions: []
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

// At the vault, not above it: the identity can write to this vault and to nothing else.
resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, writer.id)
  scope: vault
  properties: {
    roleDefinitionId: writer.id
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    condition: empty(namePrefix) ? null : replace(join(nameConditions, ' AND '), 'PREFIX', namePrefix)
    conditionVersion: empty(namePrefix) ? null : '2.0'
  }
}

// For the mode `audit`: an identity of its own, so that a job that only looks cannot write.
resource auditor 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = if (!empty(auditSubjects)) {
  name: '${vaultName}-audit'
  location: location
}

@batchSize(1)
resource auditTrust 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [
  for subject in auditSubjects: {
    parent: auditor
    name: 'github-${uniqueString(subject)}'
    properties: {
      issuer: issuer
      subject: subject
      audiences: [audience]
    }
  }
]

resource reader 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (!empty(auditSubjects)) {
  name: guid(resourceGroup().id, vaultName, 'secret-metadata-reader')
  properties: {
    roleName: 'Key Vault Secret Metadata Reader ${vaultName}'
    description: 'Reads the metadata of secrets. Cannot read a value and cannot write.'
    type: 'CustomRole'
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: ['Microsoft.KeyVault/vaults/secrets/readMetadata/action']
        notDataActions: []
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource auditAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(auditSubjects)) {
  name: guid(vault.id, auditor.id, reader.id)
  scope: vault
  properties: {
    roleDefinitionId: reader.id
    principalId: auditor.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource sql 'Microsoft.Sql/servers@2023-08-01' existing = [for name in sqlServers: { name: name }]

resource postgresql 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' existing = [
  for name in postgresqlServers: { name: name }
]

resource mysql 'Microsoft.DBforMySQL/flexibleServers@2023-12-30' existing = [for name in mysqlServers: { name: name }]

// Who may write a server may do with it whatever its owner may. Azure has no action for the password alone.
resource setter 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (withServers) {
  name: guid(resourceGroup().id, vaultName, 'password-setter')
  properties: {
    roleName: 'Database Password Setter ${vaultName}'
    description: 'Changes database servers: their administrator\'s password and everything else.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.Sql/servers/read'
          'Microsoft.Sql/servers/write'
          'Microsoft.DBforPostgreSQL/flexibleServers/read'
          'Microsoft.DBforPostgreSQL/flexibleServers/write'
          'Microsoft.DBforMySQL/flexibleServers/read'
          'Microsoft.DBforMySQL/flexibleServers/write'
          'Microsoft.Authorization/permissions/read'
          'Microsoft.Authorization/locks/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource sqlSetter 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in sqlServers: {
    name: guid(sql[i].id, identity.id, setter.id)
    scope: sql[i]
    properties: {
      roleDefinitionId: setter.id
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource postgresqlSetter 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in postgresqlServers: {
    name: guid(postgresql[i].id, identity.id, setter.id)
    scope: postgresql[i]
    properties: {
      roleDefinitionId: setter.id
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource mysqlSetter 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in mysqlServers: {
    name: guid(mysql[i].id, identity.id, setter.id)
    scope: mysql[i]
    properties: {
      roleDefinitionId: setter.id
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

// How a change ends is asked for beside the server, at the resource group.
resource follower 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (withServers) {
  name: guid(resourceGroup().id, vaultName, 'operation-reader')
  properties: {
    roleName: 'Database Operation Reader ${vaultName}'
    description: 'Sees how changes of database servers end.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.Sql/locations/*/read'
          'Microsoft.DBforPostgreSQL/locations/*/read'
          'Microsoft.DBforMySQL/locations/*/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource followerAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (withServers) {
  name: guid(resourceGroup().id, identity.id, follower.id)
  properties: {
    roleDefinitionId: follower.id
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${vaultName}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 90
  }
}

// Who set, listed or read which secret, and when. The log holds no value.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!empty(expiryWebhook)) {
  name: '${vaultName}-events'
  location: location
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource expiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (!empty(expiryWebhook)) {
  parent: topic
  name: 'expiry'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: expiryWebhook
      }
    }
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
      ]
    }
  }
}

@description('The input tenant-id.')
output tenantId string = subscription().tenantId

@description('The input client-id.')
output clientId string = identity.properties.clientId

@description('The input client-id of audits.')
output auditClientId string = empty(auditSubjects) ? '' : auditor.properties.clientId

@description('The input vault.')
output vault string = vault.name
