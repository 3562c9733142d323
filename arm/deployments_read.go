package arm

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/intertie/intertie/resource"
)

func (h *Handler) storedDeployment(tx resource.Reader, id resource.ID) (*resource.Resource, error) {
	if err := h.findDeploymentScope(tx, id); err != nil {
		return nil, err
	}
	r, ok := tx.Get(id)
	if !ok {
		return nil, resource.Errorf(codeDeploymentNotFound, "Deployment '%s' could not be found.", id.Name())
	}
	return r, nil
}

// readableDeployment returns a deployment that the caller may read.
func (h *Handler) readableDeployment(rq *request, id resource.ID, action string) (*resource.Resource, *deployment, error) {
	if err := h.authorize(rq, action, id); err != nil {
		return nil, nil, err
	}
	r, err := h.storedDeployment(h.Store, id)
	if err != nil {
		return nil, nil, err
	}
	d, err := deploymentOf(r)
	return r, d, err
}

func (h *Handler) getDeployment(rq *request, id resource.ID) error {
	r, d, err := h.readableDeployment(rq, id, typeDeployment+"/read")
	if err != nil {
		return err
	}
	if rq.http.Method == http.MethodHead {
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	writeJSON(rq.out, http.StatusOK, d.present(r))
	return nil
}

func (h *Handler) exportDeployment(rq *request, id resource.ID) error {
	r, _, err := h.readableDeployment(rq, id, typeDeployment+"/exportTemplate/action")
	if err != nil {
		return err
	}
	rq.concerns(r.ID, r.ID)
	writeJSON(rq.out, http.StatusOK, map[string]json.RawMessage{"template": json.RawMessage(r.Secrets[secretTemplate])})
	return nil
}

var stateFilter = regexp.MustCompile(`(?i)^\s*provisioningState\s+eq\s+'([A-Za-z]+)'\s*$`)

// listDeployments shows the newest first, as Azure does.
func (h *Handler) listDeployments(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope := rq.path.ID
	if err := h.authorize(rq, typeDeployment+"/read", scope); err != nil {
		return err
	}
	if err := h.findDeploymentScope(h.Store, scope); err != nil {
		return err
	}
	wanted := ""
	if f := queryParam(rq.http, "$filter"); strings.TrimSpace(f) != "" {
		m := stateFilter.FindStringSubmatch(f)
		if m == nil {
			return resource.Invalid("The $filter '%s' is invalid: deployments are filtered by provisioningState eq '…'.", f)
		}
		wanted = m[1]
	}
	type shown struct {
		key string // newest first
		r   *resource.Resource
		d   *deployment
	}
	var all []shown
	for _, r := range h.deploymentsAt(h.Store, scope) {
		d, err := deploymentOf(r)
		if err != nil {
			return err
		}
		if wanted == "" || strings.EqualFold(d.State, wanted) {
			all = append(all, shown{d.Started.UTC().Format(sortableTime) + r.ID.Key(), r, d})
		}
	}
	slices.SortFunc(all, func(a, b shown) int { return -strings.Compare(a.key, b.key) })
	start, top, err := pageStart(rq, func(after string) int {
		return sort.Search(len(all), func(i int) bool { return all[i].key < after })
	})
	if err != nil {
		return err
	}
	out := newPageWriter(top)
	for i, s := range all[start:] {
		if out.full() {
			return out.write(rq, nextLink(rq, all[start+i-1].key))
		}
		if err := out.add(s.d.present(s.r)); err != nil {
			return err
		}
	}
	return out.write(rq, "")
}

// sortableTime has as many digits for every time.
const sortableTime = "2006-01-02T15:04:05.000000000Z"

// deploymentsAt returns the deployments to a group, or to a subscription itself.
func (h *Handler) deploymentsAt(tx resource.Reader, scope resource.ID) []*resource.Resource {
	return slices.DeleteFunc(slices.Clone(tx.List(typeDeployment, scope)), func(r *resource.Resource) bool {
		return !r.ID.Scope().Equal(scope)
	})
}

// pageStart reads where a page begins and how much it holds.
func pageStart(rq *request, find func(after string) int) (start, top int, err error) {
	top = maxTop
	if text := queryParam(rq.http, "$top"); text != "" {
		if top, err = strconv.Atoi(text); err != nil || top < 1 {
			return 0, 0, resource.Invalid("The $top parameter is '%s'; it must be a number of at least 1.", text)
		}
		top = min(top, maxTop)
	}
	if token := queryParam(rq.http, "$skiptoken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return 0, 0, resource.Invalid("The $skiptoken '%s' is not one of this server.", token)
		}
		start = find(string(after))
	}
	return start, top, nil
}

// serveDeploymentPart serves what lies below a deployment: one of its operations,
// or how far it is.
func (h *Handler) serveDeploymentPart(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	part := rq.path.ID
	id := part.Scope().Provider(typeDeployment, part.Names[0])
	statuses := strings.EqualFold(part.Types[1], "operationStatuses")
	action := typeDeployment + "/operations/read"
	if statuses {
		action = typeDeployment + "/operationstatuses/read"
	}
	r, d, err := h.readableDeployment(rq, id, action)
	if err != nil {
		return err
	}
	if statuses {
		return h.getDeploymentStatus(rq, d)
	}
	for _, op := range h.operationsOf(r, d) {
		if strings.EqualFold(op.ID, part.Name()) {
			writeJSON(rq.out, http.StatusOK, op.present(r.ID))
			return nil
		}
	}
	return resource.Errorf(codeDeploymentNotFound, "The deployment '%s' has no operation '%s'.", id.Name(), part.Name())
}

// getDeploymentStatus answers a poll.
func (h *Handler) getDeploymentStatus(rq *request, d *deployment) error {
	if !strings.EqualFold(rq.path.ID.Name(), d.Operation) {
		return resource.Errorf(codeDeploymentNotFound, "The operation '%s' does not exist.", rq.path.ID.Name())
	}
	answer := struct {
		Status string       `json:"status"`
		Error  *errorObject `json:"error,omitempty"`
	}{d.State, d.Error}
	if d.active() {
		rq.out.Header().Set("Retry-After", "1")
	}
	writeJSON(rq.out, http.StatusOK, answer)
	return nil
}

func (h *Handler) listDeploymentOperations(rq *request, id resource.ID) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	r, d, err := h.readableDeployment(rq, id, typeDeployment+"/operations/read")
	if err != nil {
		return err
	}
	ops := h.operationsOf(r, d)
	start, top, err := pageStart(rq, func(after string) int {
		n := slices.IndexFunc(ops, func(o deploymentOperation) bool { return o.ID == after })
		return n + 1
	})
	if err != nil {
		return err
	}
	out := newPageWriter(top)
	for i, op := range ops[start:] {
		if out.full() {
			return out.write(rq, nextLink(rq, ops[start+i-1].ID))
		}
		if err := out.add(op.present(r.ID)); err != nil {
			return err
		}
	}
	return out.write(rq, "")
}

// operationsOf returns what a deployment did so far: one that runs here has not
// stored it yet.
func (h *Handler) operationsOf(r *resource.Resource, d *deployment) []deploymentOperation {
	if ops, ok := h.Deployments.operations(r.UID); ok {
		return ops
	}
	return d.Operations
}
