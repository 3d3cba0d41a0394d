package emulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Azure Resource Manager's wire format, as far as it is of database servers: specification/sql, postgresql and mysql of
// https://github.com/Azure/azure-rest-api-specs. No answer holds a password.

// timestamp leaves out final zeros of the fraction, as the service does.
const timestamp = "2006-01-02T15:04:05.999Z"

// serverRequest is the body of a change.
type serverRequest struct {
	valid    bool     // it is JSON
	names    []string // what it is about; what is below properties has that word before its name
	password *string
}

func readServerRequest(body []byte) (r serverRequest) {
	var all map[string]json.RawMessage
	var properties map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil {
		return r
	}
	if text, there := all["properties"]; there {
		if json.Unmarshal(text, &properties) != nil {
			return r
		}
		delete(all, "properties")
	}
	r.valid = true
	r.names = slices.Sorted(maps.Keys(all))
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		r.names = append(r.names, "properties."+name)
	}
	if text, there := properties["administratorLoginPassword"]; there {
		r.valid = json.Unmarshal(text, &r.password) == nil
	}
	return r
}

// accepted is the body of a 202.
type accepted struct {
	Operation string `json:"operation"`
	Started   string `json:"startTime"`
}

// operationStatus is what an Azure-AsyncOperation tells.
type operationStatus struct {
	Name    string       `json:"name"`
	Status  string       `json:"status"`
	Started string       `json:"startTime"`
	Error   *errorDetail `json:"error,omitempty"`
}

// serverBody is a server as told. Members stand in the order in which the service sends them, as far as it is recorded.
type serverBody struct {
	Kind       string           `json:"kind,omitempty"`
	Properties serverProperties `json:"properties"`
	Location   string           `json:"location"`
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
}

type serverProperties struct {
	Login          string          `json:"administratorLogin,omitempty"`
	Version        string          `json:"version"`
	State          string          `json:"state"`
	Host           string          `json:"fullyQualifiedDomainName"`
	Administrators *administrators `json:"administrators,omitempty"`  // of SQL's
	AuthConfig     *authConfig     `json:"authConfig,omitempty"`      // of PostgreSQL's
	Role           string          `json:"replicationRole,omitempty"` // of flexible servers
}

type administrators struct {
	Kind      string `json:"administratorType"`
	EntraOnly bool   `json:"azureADOnlyAuthentication"`
}

type authConfig struct {
	Entra    string `json:"activeDirectoryAuth"`
	Password string `json:"passwordAuth"`
}

// permissionList is what a caller may do at a scope, one entry a role.
type permissionList struct {
	Value []permission `json:"value"`
}

type permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

// lockList is what a list of locks has: specification/resources, locks 2016-09-01.
type lockList struct {
	Value []lock `json:"value"`
}

type lock struct {
	Properties lockProperties `json:"properties"`
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Name       string         `json:"name"`
}

type lockProperties struct {
	Level string `json:"level"` // CanNotDelete, ReadOnly
}

// resource is a server as told, with what is told only where the request expands it; the caller holds the server's
// lock. SQL's examples ServerGet.json and ServerGetWithExpandEqualsAdministrators.json differ so:
// https://github.com/Azure/azure-rest-api-specs, Microsoft.Sql 2023-08-01.
func (s *databaseServer) resource(expand string) serverBody {
	o := s.options
	b := serverBody{Location: s.location(), ID: s.id(), Name: o.Name, Type: o.Kind}
	b.Properties = serverProperties{Login: o.Login, State: s.state(), Host: o.Name + s.suffix()}
	switch o.Kind {
	case SQLServer:
		b.Kind, b.Properties.Version = "v12.0", "12.0"
		if o.EntraOnly && strings.EqualFold(expand, "administrators/activedirectory") {
			b.Properties.Administrators = &administrators{Kind: "ActiveDirectory", EntraOnly: true}
		}
	case PostgreSQLServer:
		b.Properties.Version, b.Properties.Role = "16", s.role("Primary", "AsyncReplica")
		b.Properties.AuthConfig = &authConfig{Entra: "Enabled", Password: "Enabled"}
		if o.EntraOnly {
			b.Properties.Login, b.Properties.AuthConfig.Password = "", "Disabled"
		}
	case MySQLServer:
		b.Properties.Version, b.Properties.Role = "8.0.21", s.role("None", "Replica")
	}
	return b
}

// suffix is what follows a server's name in its host in AzureCloud.
func (s *databaseServer) suffix() string {
	return map[string]string{
		SQLServer: ".database.windows.net", PostgreSQLServer: ".postgres.database.azure.com",
		MySQLServer: ".mysql.database.azure.com",
	}[s.options.Kind]
}

func (s *databaseServer) role(primary, replica string) string {
	if s.options.Replica {
		return replica
	}
	return primary
}

func armBad(code, message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: message}
}

func armForbidden(code, message string) *refusal {
	return &refusal{status: http.StatusForbidden, code: code, message: message}
}

func armNotFound(code, message string) *refusal {
	return &refusal{status: http.StatusNotFound, code: code, message: message}
}

func armConflict(code, message string) *refusal {
	return &refusal{status: http.StatusConflict, code: code, message: message}
}
