package resource

import "fmt"

// Code is the code of an error as Azure Resource Manager's clients match it.
type Code string

// The codes that management operations answer with. The HTTP status of each
// stands in one table of package arm.
const (
	InvalidRequest                  Code = "InvalidRequest"
	InvalidRequestContent           Code = "InvalidRequestContent"
	InvalidSubscriptionID           Code = "InvalidSubscriptionId"
	InvalidResourceType             Code = "InvalidResourceType"
	InvalidResourceLocation         Code = "InvalidResourceLocation"
	InvalidResourceGroupLocation    Code = "InvalidResourceGroupLocation"
	LocationRequired                Code = "LocationRequired"
	LocationNotAvailable            Code = "LocationNotAvailableForResourceType"
	MissingAPIVersion               Code = "MissingApiVersionParameter"
	InvalidAPIVersion               Code = "InvalidApiVersionParameter"
	NoRegisteredProviderFound       Code = "NoRegisteredProviderFound"
	MissingSubscriptionRegistration Code = "MissingSubscriptionRegistration"
	SubscriptionNotFound            Code = "SubscriptionNotFound"
	ResourceGroupNotFound           Code = "ResourceGroupNotFound"
	NotFound                        Code = "ResourceNotFound"
	ParentNotFound                  Code = "ParentResourceNotFound"
	Conflict                        Code = "Conflict"
	InvalidNamespace                Code = "InvalidResourceNamespace"
	InvalidRoleAssignmentID         Code = "InvalidRoleAssignmentId"
	RoleAssignmentFixed             Code = "RoleAssignmentUpdateNotPermitted"
	RoleAssignmentExists            Code = "RoleAssignmentExists"
	RoleDefinitionNotFound          Code = "RoleDefinitionDoesNotExist"
	RoleAssignmentNotFound          Code = "RoleAssignmentNotFound"
	PrincipalNotFound               Code = "PrincipalNotFound"
	ScopeLocked                     Code = "ScopeLocked"
	InvalidFilter                   Code = "InvalidFilterInQueryString"
	MoveNotSupported                Code = "ResourceMoveNotSupported"
	MethodNotAllowed                Code = "HttpMethodNotAllowed"
	AuthenticationFailed            Code = "AuthenticationFailed"
	InvalidToken                    Code = "InvalidAuthenticationToken"
	ExpiredToken                    Code = "ExpiredAuthenticationToken"
	AuthorizationFailed             Code = "AuthorizationFailed"
	PartnerNotAuthorized            Code = "PartnerNotAuthorized"
	URLValidation                   Code = "Url validation"
	RequestTooLarge                 Code = "RequestEntityTooLarge"
	Unavailable                     Code = "ServiceUnavailable"
	OutcomeUnknown                  Code = "GatewayTimeout" // what was asked for may have happened
	Internal                        Code = "InternalServerError"
)

// Error is an error whose code and message are meant for the caller of the
// management API. Any other error is logged and shown as an internal one.
type Error struct {
	Code    Code
	Message string
	Target  string
	Details []Error
}

// Errorf returns an [*Error] with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid is short for Errorf(InvalidRequest, …).
func Invalid(format string, args ...any) *Error { return Errorf(InvalidRequest, format, args...) }

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
