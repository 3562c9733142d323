package arm

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/intertie/intertie/resource"
)

// statuses is the one place where an error code gets its HTTP status. Where
// nothing is public about the service's own answer, the choice is ours; keeping
// all in one table lets a later observation replace it.
var statuses = map[resource.Code]int{
	resource.InvalidRequest:                  http.StatusBadRequest,
	resource.InvalidRequestContent:           http.StatusBadRequest,
	resource.InvalidSubscriptionID:           http.StatusBadRequest,
	resource.InvalidResourceType:             http.StatusNotFound,
	resource.InvalidResourceLocation:         http.StatusConflict,
	resource.InvalidResourceGroupLocation:    http.StatusConflict,
	resource.LocationRequired:                http.StatusBadRequest,
	resource.LocationNotAvailable:            http.StatusBadRequest,
	resource.MissingAPIVersion:               http.StatusBadRequest,
	resource.InvalidAPIVersion:               http.StatusBadRequest,
	resource.NoRegisteredProviderFound:       http.StatusBadRequest,
	resource.MissingSubscriptionRegistration: http.StatusConflict,
	resource.SubscriptionNotFound:            http.StatusNotFound,
	resource.ResourceGroupNotFound:           http.StatusNotFound,
	resource.NotFound:                        http.StatusNotFound,
	resource.ParentNotFound:                  http.StatusNotFound,
	resource.Conflict:                        http.StatusConflict,
	resource.InvalidNamespace:                http.StatusNotFound,
	resource.InvalidRoleAssignmentID:         http.StatusBadRequest,
	resource.RoleAssignmentFixed:             http.StatusBadRequest,
	resource.RoleAssignmentExists:            http.StatusConflict,
	resource.RoleDefinitionNotFound:          http.StatusBadRequest,
	resource.RoleAssignmentNotFound:          http.StatusNotFound,
	codeBadRole:                              http.StatusBadRequest,
	codePrincipalType:                        http.StatusBadRequest,
	codeRoleAssigned:                         http.StatusBadRequest,
	codeRoleBuiltIn:                          http.StatusConflict,
	codeRoleNameTaken:                        http.StatusConflict,
	resource.PrincipalNotFound:               http.StatusBadRequest,
	resource.ScopeLocked:                     http.StatusConflict,
	resource.InvalidFilter:                   http.StatusBadRequest,
	resource.MoveNotSupported:                http.StatusConflict,
	codeInvalidTemplate:                      http.StatusBadRequest,
	codeInvalidDeployment:                    http.StatusBadRequest,
	codeDeploymentActive:                     http.StatusConflict,
	codeDeploymentInactive:                   http.StatusConflict,
	codeDeploymentNotFound:                   http.StatusNotFound,
	codeInvalidName:                          http.StatusBadRequest,
	codeTooManyRequests:                      http.StatusTooManyRequests,
	codeResourceNotFinished:                  http.StatusConflict,
	resource.MethodNotAllowed:                http.StatusMethodNotAllowed,
	resource.AuthenticationFailed:            http.StatusUnauthorized,
	resource.InvalidToken:                    http.StatusUnauthorized,
	resource.ExpiredToken:                    http.StatusUnauthorized,
	resource.AuthorizationFailed:             http.StatusForbidden,
	resource.PartnerNotAuthorized:            http.StatusForbidden,
	resource.URLValidation:                   http.StatusBadRequest,
	resource.RequestTooLarge:                 http.StatusRequestEntityTooLarge,
	resource.Unavailable:                     http.StatusServiceUnavailable,
	resource.OutcomeUnknown:                  http.StatusGatewayTimeout,
	resource.Internal:                        http.StatusInternalServerError,
}

type errorBody struct {
	Error errorObject `json:"error"`
}

type errorObject struct {
	Code    resource.Code `json:"code"`
	Message string        `json:"message"`
	Target  string        `json:"target,omitempty"`
	Details []errorObject `json:"details,omitempty"`
}

func errorObjectOf(e *resource.Error) errorObject {
	o := errorObject{Code: e.Code, Message: e.Message, Target: e.Target}
	for i := range e.Details {
		o.Details = append(o.Details, errorObjectOf(&e.Details[i]))
	}
	return o
}

// What is left of an error whose record is too large.
const (
	mostDetails    = 10
	longestMessage = 1000
)

// shortened returns an error of a bounded size.
func (o *errorObject) shortened() *errorObject {
	short := *o
	short.Message = strings.ToValidUTF8(o.Message[:min(len(o.Message), longestMessage)], "")
	short.Target = strings.ToValidUTF8(o.Target[:min(len(o.Target), longestMessage)], "")
	short.Details = nil
	for _, d := range o.Details[:min(len(o.Details), mostDetails)] {
		d := d.shortened()
		d.Details = nil
		short.Details = append(short.Details, *d)
	}
	return &short
}

// gatewayErrors are those that ARM itself makes, before the provider is asked.
var gatewayErrors = map[resource.Code]bool{
	resource.MissingAPIVersion: true, resource.InvalidAPIVersion: true, resource.NoRegisteredProviderFound: true,
	resource.InvalidResourceType: true, resource.InvalidSubscriptionID: true, resource.SubscriptionNotFound: true,
	resource.ResourceGroupNotFound: true, resource.MissingSubscriptionRegistration: true, resource.AuthorizationFailed: true,
	resource.ScopeLocked: true, resource.InvalidFilter: true, resource.MoveNotSupported: true,
	resource.InvalidToken: true, resource.ExpiredToken: true, resource.AuthenticationFailed: true,
}

func writeError(w http.ResponseWriter, e *resource.Error) int {
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	if gatewayErrors[e.Code] {
		w.Header().Set("X-Ms-Failure-Cause", "gateway")
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, errorBody{Error: errorObjectOf(e)})
	return status
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // only for a value that this program built wrongly
		status, data = http.StatusInternalServerError, []byte(`{"error":{"code":"InternalServerError","message":"The answer could not be encoded."}}`)
	}
	writeRaw(w, status, data)
}

// writeRaw is writeJSON for what is JSON already.
func writeRaw(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone: nobody left to tell
}
