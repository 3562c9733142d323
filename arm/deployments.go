package arm

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/template"
)

// This file and the other deployments files serve template deployments:
//
//	deployments.go           requests: create, validate, preview, cancel, delete …
//	deployments_read.go      requests that look at deployments
//	deployments_record.go    what is stored of one, and how it is shown
//	deployments_runner.go    who runs them, how many at once, what a restart does
//	deployments_host.go      the template's resources become management requests
//	deployments_dry.go       the same against a draft of the store
//	deployments_preview.go   what-if: the draft compared with what is there
//	deployments_request.go   a management request that the server itself makes

const typeDeployment = "Microsoft.Resources/deployments"

// Codes of deployments.
const (
	codeInvalidTemplate     resource.Code = "InvalidTemplate"
	codeInvalidDeployment   resource.Code = "InvalidTemplateDeployment"
	codeDeploymentFailed    resource.Code = "DeploymentFailed"
	codeDeploymentActive    resource.Code = "DeploymentActive"
	codeDeploymentCanceled  resource.Code = "DeploymentCanceled"
	codeDeploymentInactive  resource.Code = "DeploymentCannotBeCanceled"
	codeDeploymentNotFound  resource.Code = "DeploymentNotFound"
	codeInvalidName         resource.Code = "InvalidDeploymentName"
	codeTooManyRequests     resource.Code = "TooManyRequests"
	codeResourceNotFinished resource.Code = "ResourceDeploymentFailure"
)

var deploymentName = regexp.MustCompile(`^[-\w.()]{1,64}$`)

// isDeployment matches everything about deployments of a group or subscription.
func isDeployment(rq *request) bool {
	if rq.path.Beyond {
		return rq.path.ID.Subscription != "" && rq.path.ID.Namespace == "" && anyFold(rq.path.Namespace+"/"+rq.path.Tail, typeDeployment)
	}
	id := rq.path.ID
	return id.Subscription != "" && id.Scope().Namespace == "" &&
		anyFold(id.Type(), typeDeployment, typeDeployment+"/operations", typeDeployment+"/operationStatuses")
}

// isDeepDeployment matches {scope}/deployments/{name}/operations[/{id}], the form
// in which a group's operations are asked for.
func isDeepDeployment(rq *request) bool {
	return strings.EqualFold(rq.path.Tail, "deployments") && (len(rq.deeper) == 2 || len(rq.deeper) == 3) && strings.EqualFold(rq.deeper[1], "operations")
}

func (h *Handler) serveDeepDeployment(rq *request) error {
	id := rq.path.ID.Provider(typeDeployment, rq.deeper[0])
	rq.path = resource.Path{ID: id, Namespace: id.Namespace, Tail: rq.deeper[1]}
	if len(rq.deeper) == 3 {
		rq.path.ID, rq.path.Tail = id.Child(rq.deeper[1], rq.deeper[2]), ""
	}
	return h.serveDeployment(rq)
}

func (h *Handler) serveDeployment(rq *request) error {
	id := rq.path.ID
	switch {
	case rq.path.Beyond:
		return h.listDeployments(rq)
	case len(id.Types) == 2:
		return h.serveDeploymentPart(rq)
	}
	id = id.Scope().Provider(typeDeployment, id.Name())
	if rq.path.Tail == "" {
		switch rq.http.Method {
		case http.MethodGet, http.MethodHead:
			return h.getDeployment(rq, id)
		case http.MethodPut:
			return h.createDeployment(rq, id)
		case http.MethodDelete:
			return h.deleteDeployment(rq, id)
		}
		return h.methodNotAllowed(rq, "GET, HEAD, PUT, DELETE")
	}
	if strings.EqualFold(rq.path.Tail, "operations") {
		return h.listDeploymentOperations(rq, id)
	}
	if err := h.only(rq, http.MethodPost); err != nil {
		return err
	}
	switch strings.ToLower(rq.path.Tail) {
	case "validate":
		return h.validateDeployment(rq, id)
	case "whatif":
		return h.previewDeployment(rq, id)
	case "cancel":
		return h.cancelDeployment(rq, id)
	case "exporttemplate":
		return h.exportDeployment(rq, id)
	}
	return resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' has no action '%s'.", typeDeployment, rq.path.Tail)
}

// findDeploymentScope makes sure that a deployment has where to be.
func (h *Handler) findDeploymentScope(tx resource.Reader, id resource.ID) error {
	if _, ok := tx.Get(resource.SubscriptionID(id.Subscription)); !ok {
		return resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", id.Subscription)
	}
	if id.Group == "" {
		return nil
	}
	if _, ok := tx.Get(id.GroupScope()); !ok {
		return groupNotFound(id)
	}
	return nil
}

// readDeployment takes the phases that creation, validation and preview have in
// common.
func (h *Handler) readDeployment(rq *request, id resource.ID, action string) (*job, error) {
	if err := h.authorize(rq, typeDeployment+"/"+action, id); err != nil {
		return nil, err
	}
	rq.concerns(id, id)
	if err := h.findDeploymentScope(h.Store, id); err != nil {
		return nil, err
	}
	if !deploymentName.MatchString(id.Name()) {
		return nil, resource.Errorf(codeInvalidName, "The deployment name '%s' is invalid: it must consist of 1 to 64 letters, digits, '-', '_', '.', '(' and ')'.", id.Name())
	}
	raw, err := rq.bodyOf(maxTemplateBody)
	if err != nil {
		return nil, err
	}
	if err := h.evaluate(rq, id.Subscription); err != nil {
		return nil, err
	}
	wanted, err := template.ReadRequest(raw)
	if err != nil {
		return nil, requestError(id, err)
	}
	switch {
	case id.Group == "" && wanted.Location == "":
		return nil, resource.Errorf(resource.LocationRequired, "The location property is required for a deployment to a subscription.")
	case id.Group == "" && wanted.Mode == template.Complete:
		return nil, resource.Errorf(codeInvalidDeployment, "A deployment to a subscription can only be Incremental.")
	}
	return h.Deployments.job(rq, id, wanted, raw).read(), nil
}

// requestError turns what is wrong with a request before anything was looked at
// into the answer.
func requestError(id resource.ID, err error) error {
	if e, ok := errors.AsType[*template.RequestError](err); ok {
		return resource.Errorf(resource.InvalidRequestContent, "The request content was invalid: %s", e.Message)
	}
	return invalidTemplate(id, &template.Result{}, err)
}

// createDeployment checks a deployment as a validation does, stores it, and
// leaves the rest to the runner.
func (h *Handler) createDeployment(rq *request, id resource.ID) error {
	j, err := h.readDeployment(rq, id, "write")
	if err != nil {
		return err
	}
	plan, err := h.plan(rq, j)
	if err != nil {
		return err
	}
	status := http.StatusOK
	var stored *resource.Resource
	if err := h.Deployments.reserve(j); err != nil {
		if e, ok := errors.AsType[*resource.Error](err); ok && e.Code == codeTooManyRequests {
			rq.out.Header().Set("Retry-After", "10")
		}
		return err
	}
	err = h.commit(rq, func(tx resource.Tx) error {
		if err := h.findDeploymentScope(tx, id); err != nil {
			return err
		}
		old, exists := tx.Get(id)
		if rq.created, status = !exists, http.StatusOK; !exists {
			status = http.StatusCreated
		}
		if exists {
			if err := refuseActive(old); err != nil {
				return err
			}
		}
		var err error
		if stored, err = newDeployment(j, plan, old); err != nil {
			return err
		}
		tx.Put(stored)
		pruneDeployments(tx, id)
		return nil
	})
	h.Deployments.accepted(j, rq)
	switch {
	case isCode(err, resource.OutcomeUnknown):
		h.Deployments.doubt(j)
		return err
	case err != nil:
		h.Deployments.release(j)
		return err
	}
	h.Deployments.start(j)
	body, err := presentDeployment(stored)
	if err != nil {
		return err
	}
	d, err := deploymentOf(stored)
	if err != nil {
		return err
	}
	rq.out.Header().Set("Azure-AsyncOperation", rq.base+stored.ID.String()+"/operationStatuses/"+d.Operation+"?api-version="+rq.version)
	rq.out.Header().Set("Retry-After", "1")
	writeJSON(rq.out, status, body)
	return nil
}

func refuseActive(old *resource.Resource) error {
	d, err := deploymentOf(old)
	if err != nil || !d.active() {
		return err
	}
	return resource.Errorf(codeDeploymentActive,
		"Unable to edit or replace deployment '%s': previous deployment from '%s' is still active.", old.ID.Name(), resource.Time(d.Started).Std().Format("2006-01-02T15:04:05Z"))
}

// validateDeployment answers as a creation would, as far as that can be told
// without making anything.
func (h *Handler) validateDeployment(rq *request, id resource.ID) error {
	j, err := h.readDeployment(rq, id, "validate/action")
	if err != nil {
		return err
	}
	plan, err := h.plan(rq, j)
	if err != nil {
		return err
	}
	r, err := newDeployment(j, plan, nil)
	if err != nil {
		return err
	}
	d, err := deploymentOf(r)
	if err != nil {
		return err
	}
	d.State = "Succeeded"
	body := d.present(r)
	body.Properties.Duration = "PT0S"
	for _, p := range plan.Planned {
		body.Properties.Validated = append(body.Properties.Validated, reference{ID: p.ID})
	}
	writeJSON(rq.out, http.StatusOK, body)
	return nil
}

// cancelDeployment ends a deployment before its next resource. The one under way
// is finished.
func (h *Handler) cancelDeployment(rq *request, id resource.ID) error {
	if err := h.authorize(rq, typeDeployment+"/cancel/action", id); err != nil {
		return err
	}
	rq.concerns(id, id)
	err := h.commit(rq, func(tx resource.Tx) error {
		r, err := h.storedDeployment(tx, id)
		if err != nil {
			return err
		}
		d, err := deploymentOf(r)
		if err != nil {
			return err
		}
		if !d.active() {
			return resource.Errorf(codeDeploymentInactive, "The deployment '%s' cannot be canceled, since it is not running: its provisioning state is '%s'.", id.Name(), d.State)
		}
		d.end(stateCanceled, rq.now)
		d.Error = &errorObject{Code: codeDeploymentCanceled, Message: "The deployment was canceled.", Target: r.ID.String()}
		next, err := d.put(r, rq.now)
		if err != nil {
			return err
		}
		tx.Put(next)
		return nil
	})
	if err != nil {
		return err
	}
	rq.out.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteDeployment forgets a deployment; what it made stays.
func (h *Handler) deleteDeployment(rq *request, id resource.ID) error {
	if err := h.authorize(rq, typeDeployment+"/delete", id); err != nil {
		return err
	}
	rq.concerns(id, id)
	err := h.commit(rq, func(tx resource.Tx) error {
		if err := h.findDeploymentScope(tx, id); err != nil {
			return err
		}
		r, ok := tx.Get(id)
		if !ok {
			return nil
		}
		if err := refuseActive(r); err != nil {
			return err
		}
		tx.Delete(r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	// The other code that clients accept, 202, would make them ask again.
	rq.out.WriteHeader(http.StatusNoContent)
	return nil
}
