package emulator

import "net/http"

// Key Vault's wire format: https://learn.microsoft.com/rest/api/keyvault/secrets. Members stand in the order in which
// the service sends them; what a secret has not is left out, except the list's nextLink, which is null.

// setRequest is the body of a set; its pointers tell what was not sent.
type setRequest struct {
	Value       *string            `json:"value"`
	ContentType *string            `json:"contentType"`
	Attributes  *attributesRequest `json:"attributes"`
	Tags        map[string]string  `json:"tags"`
}

// attributesRequest are the attributes that a client may say; the rest it may send is ignored.
type attributesRequest struct {
	Enabled   *bool  `json:"enabled"`
	NotBefore *int64 `json:"nbf"`
	Expires   *int64 `json:"exp"`
}

// bundle is a version as told: with its value only where the operation reads or sets one.
type bundle struct {
	RecoveryID     string            `json:"recoveryId,omitempty"`
	DeletedDate    int64             `json:"deletedDate,omitempty"`
	ScheduledPurge int64             `json:"scheduledPurgeDate,omitempty"`
	Value          *string           `json:"value,omitempty"`
	ContentType    *string           `json:"contentType,omitempty"`
	ID             string            `json:"id"`
	Managed        bool              `json:"managed,omitempty"`
	Attributes     attributes        `json:"attributes"`
	Tags           map[string]string `json:"tags,omitzero"` // {} is told where {} was set
}

// attributes are times in whole seconds since 1970.
type attributes struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel"`
	RecoverableDays int    `json:"recoverableDays,omitempty"`
}

// page is one page of a list.
type page struct {
	Value    []bundle `json:"value"`
	NextLink *string  `json:"nextLink"`
}

// A refusal is an error as Key Vault words it.
type refusal struct {
	status               int
	code, inner, message string
	header               http.Header
}

type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Inner   *innerError `json:"innererror,omitempty"`
}

type innerError struct {
	Code string `json:"code"`
}

func (r *refusal) answer() answer {
	detail := errorDetail{Code: r.code, Message: r.message}
	if r.inner != "" {
		detail.Inner = &innerError{r.inner}
	}
	return answer{status: r.status, header: r.header, body: errorBody{detail}}
}

func badParameter(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "BadParameter", message: message}
}

func conflict(inner, message string) *refusal {
	return &refusal{status: http.StatusConflict, code: "Conflict", inner: inner, message: message}
}

func notFound(message string) *refusal {
	return &refusal{status: http.StatusNotFound, code: "SecretNotFound", message: message}
}

func secretNotFound(id string) *refusal {
	return notFound("A secret with (name/id) " + id +
		" was not found in this key vault. If you recently deleted this secret " +
		"you may be able to recover it using the correct recovery command. For help resolving this issue, please see " +
		"https://go.microsoft.com/fwlink/?linkid=2125182")
}

func deletedSecretNotFound(name string) *refusal {
	return notFound("Deleted Secret not found: " + name)
}
