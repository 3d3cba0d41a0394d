// A vault, a PostgreSQL server and the identity that sets a login's password in both. The roles in the server are made with
// examples/setup/postgresql.sql or postgresql-function.sql, by the administrator named here.
//
//   az deployment group create --resource-group RG --template-file main.bicep \
//     --parameters vaultName=kv-orders serverName=pg-orders subjects='["repo:OWNER/REPO:environment:passwords"]' \
//     administratorName=GROUP administratorObjectId=OBJECT-ID

@description('Name of the vault: 3 to 24 letters, digits and single hyphens; unique in all of Azure.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('Name of the PostgreSQL server: 3 to 63 small letters, digits and hyphens; unique in all of Azure.')
@minLength(3)
@maxLength(63)
param serverName string

@description('Who is trusted: the subjects of GitHub tokens (examples/setup/README.md).')
@minLength(1)
@maxLength(20)
param subjects string[]

@description('An Entra group whose members administer the server: its name and its object ID. The action is not one of them.')
param administratorName string
param administratorObjectId string

@description('Azure asks for an administrator with a password where logins have passwords. Nobody knows or needs this one.')
@secure()
param unusedPassword string = 'Aa1-${newGuid()}'

@description('Region of everything made here.')
param location string = resourceGroup().location

// Vault, identity, trust and write-only role, as everywhere; the action disables superseded versions.
module setup '../setup/main.bicep' = {
  name: 'setup'
  params: {
    vaultName: vaultName
    subjects: subjects
    location: location
    disableSuperseded: true
  }
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: serverName
  location: location
  sku: {
    name: 'Standard_B1ms'
    tier: 'Burstable'
  }
  properties: {
    version: '17'
    storage: {
      storageSizeGB: 32
    }
    administratorLogin: 'unused'
    administratorLoginPassword: unusedPassword
    // Passwords for the application's logins, Entra for the action and for people.
    authConfig: {
      activeDirectoryAuth: 'Enabled'
      passwordAuth: 'Enabled'
      tenantId: subscription().tenantId
    }
    network: {
      publicNetworkAccess: 'Enabled'
    }
  }
}

resource administrator 'Microsoft.DBforPostgreSQL/flexibleServers/administrators@2024-08-01' = {
  parent: server
  name: administratorObjectId
  // One after the other: a server that makes a database refuses this as busy, or as not accessible yet.
  dependsOn: [database]
  properties: {
    principalName: administratorName
    principalType: 'Group'
    tenantId: subscription().tenantId
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: server
  name: 'orders'
}

@description('For the variables of the repository, and for OBJECT-ID in the SQL: az ad sp show --id CLIENT-ID --query id')
output clientId string = setup.outputs.clientId
output vault string = setup.outputs.vault

@description('For postgresql in the declaration.')
output host string = server.properties.fullyQualifiedDomainName
