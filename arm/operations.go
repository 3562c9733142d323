package arm

import (
	"net/http"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// getOperation answers a poll. The operation id is the resource's own identity,
// so its state is always at hand, also after a restart.
func (h *Handler) getOperation(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	name := rq.path.ID.Name()
	missing := resource.Errorf(resource.NotFound, "The operation '%s' does not exist.", name)
	uid, err := resource.ParseUID(name)
	if err != nil {
		return missing
	}
	r, ok := h.operationOf(uid, rq.path.ID.Subscription)
	// A foreign operation does not exist: 403 would tell that it does.
	if !ok || !h.mayPoll(rq, r) {
		return missing
	}
	status := map[string]any{"id": rq.base + rq.http.URL.RequestURI(), "name": uid.String(), "status": "InProgress"}
	switch state := finalStates[provisioningState(r)]; state {
	case "":
		rq.out.Header().Set("Retry-After", "1")
	case "Failed":
		status["status"] = state
		status["error"] = errorObject{
			Code: "ResourceOperationFailure", Message: "The resource operation completed with terminal provisioning state 'Failed'.",
			Details: []errorObject{{Code: resource.URLValidation, Message: "The endpoint did not validate within the time allowed. For more details, visit https://aka.ms/esvalidation."}},
		}
	default:
		status["status"] = state
	}
	writeJSON(rq.out, http.StatusOK, status)
	return nil
}

// operationOf finds the resource that an operation is about. Only event
// subscriptions are ever unfinished when their request is answered.
func (h *Handler) operationOf(uid resource.UID, subscription string) (*resource.Resource, bool) {
	for _, typ := range eventgrid.SubscriptionTypes() {
		for _, r := range h.Store.List(typ, resource.SubscriptionID(subscription)) {
			if r.UID == uid {
				return r, true
			}
		}
	}
	return nil, false
}

// mayPoll admits whoever may read the resource by either of its addresses: who
// could start the operation by one need not have rights at the other.
func (h *Handler) mayPoll(rq *request, r *resource.Resource) bool {
	if h.authorize(rq, r.Type+"/read", r.ID) == nil {
		return true
	}
	id := extensionID(readOnly{h.Store}, r, resource.ID{})
	return h.authorize(rq, id.Type()+"/read", id) == nil
}
