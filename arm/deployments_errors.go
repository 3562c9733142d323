package arm

import (
	"errors"
	"fmt"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// deploymentError is the error of a deployment that failed: a detail for each
// resource, which names it and its place in the template.
func deploymentError(id resource.ID, result *template.Result, err error) *errorObject {
	return &errorObject{
		Code:    codeDeploymentFailed,
		Message: "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.",
		Target:  id.String(), Details: failureDetails(result, err),
	}
}

func failureDetails(result *template.Result, err error) []errorObject {
	var out []errorObject
	for _, e := range template.ErrorsOf(err) {
		detail := errorObject{Code: codeInvalidTemplate, Message: e.Message, Target: placeOf(e)}
		if cause, ok := errors.AsType[*resource.Error](e.Cause); ok {
			detail = errorObjectOf(cause)
			if e.Path != "" && e.Resource == "" { // the expression says what it was about
				detail.Message = e.Message
			}
			detail.Target = placeOf(e)
		}
		out = append(out, redactedError(result, detail))
	}
	return out
}

func redactedError(result *template.Result, e errorObject) errorObject {
	e.Message = result.Redact(e.Message)
	for i := range e.Details {
		e.Details[i] = redactedError(result, e.Details[i])
	}
	return e
}

// placeOf names the resource that failed and its place in the template.
func placeOf(e *template.Error) string {
	place := e.Path
	if e.Line > 0 {
		place += fmt.Sprintf(" (line %d)", e.Line)
	}
	switch {
	case e.Resource == "":
		return place
	case place == "":
		return e.Resource
	default:
		return e.Resource + " at " + place
	}
}

// invalidTemplate is the answer to a template that cannot be deployed, found out
// before anything was made.
func invalidTemplate(id resource.ID, result *template.Result, err error) error {
	all := template.ErrorsOf(err)
	if len(all) == 1 && all[0].Resource == "" {
		return &resource.Error{
			Code: codeInvalidTemplate, Target: placeOf(all[0]),
			Message: result.Redact(fmt.Sprintf("Deployment template validation failed: '%s'.", all[0])),
		}
	}
	e := &resource.Error{
		Code: codeInvalidDeployment, Target: id.String(),
		Message: fmt.Sprintf("The template deployment '%s' is not valid according to the validation procedure. See inner errors for details.", id.Name()),
	}
	for _, d := range failureDetails(result, err) {
		e.Details = append(e.Details, detailOf(d))
	}
	return e
}

func detailOf(o errorObject) resource.Error {
	e := resource.Error{Code: o.Code, Message: o.Message, Target: o.Target}
	for _, d := range o.Details {
		e.Details = append(e.Details, detailOf(d))
	}
	return e
}
