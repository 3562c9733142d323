package arm

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// groupPattern: up to 90 letters, digits, underscores, hyphens, dots and
// parentheses, not ending in a dot.
var groupPattern = regexp.MustCompile(`^[-\w.()\p{L}]{0,89}[-\w()\p{L}]$`)

func presentGroup(r *resource.Resource) (any, error) {
	v := map[string]any{
		"id": r.ID.String(), "name": r.ID.Name(), "type": "Microsoft.Resources/resourceGroups", "location": r.Location,
		"tags": tagsOf(r), "properties": map[string]string{"provisioningState": "Succeeded"},
	}
	if by, ok := r.Extra["managedBy"]; ok {
		v["managedBy"] = by
	}
	return v, nil
}

func (h *Handler) listGroups(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if err := h.authorize(rq, resource.TypeGroup+"/read", rq.path.ID); err != nil {
		return err
	}
	if _, err := h.findSubscription(rq.path.ID); err != nil {
		return err
	}
	matches, err := parseResourceFilter(queryParam(rq.http, "$filter"))
	if err != nil {
		return err
	}
	return h.pageOf(rq, h.Store.List(resource.TypeGroup, rq.path.ID), paging{defaultTop: armTop, maxTop: armTop, match: matches}, presentGroup)
}

func (h *Handler) serveGroup(rq *request) error {
	id := rq.path.ID
	verb, ok := verbs[rq.http.Method]
	if !ok {
		return h.methodNotAllowed(rq, "GET, HEAD, PUT, PATCH, DELETE")
	}
	if err := h.authorize(rq, resource.TypeGroup+"/"+verb, id); err != nil {
		return err
	}
	if _, err := h.findSubscription(id); err != nil {
		return err
	}
	switch rq.http.Method {
	case http.MethodPut, http.MethodPatch:
		return h.writeGroup(rq, id)
	case http.MethodDelete:
		return h.deleteGroup(rq, id)
	}
	r, ok := h.Store.Get(id)
	if rq.http.Method == http.MethodHead {
		rq.out.WriteHeader(map[bool]int{true: http.StatusNoContent, false: http.StatusNotFound}[ok])
		return nil
	}
	if !ok {
		return groupNotFound(id)
	}
	return writeGroupBody(rq, r, http.StatusOK)
}

func groupNotFound(id resource.ID) error {
	return resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", id.Group)
}

func writeGroupBody(rq *request, r *resource.Resource, status int) error {
	v, err := presentGroup(r)
	if err != nil {
		return err
	}
	writeJSON(rq.out, status, v)
	return nil
}

func (h *Handler) writeGroup(rq *request, id resource.ID) error {
	raw, err := rq.bodyOf(smallBody)
	if err != nil {
		return err
	}
	body, err := decodeBody(raw, false)
	if err != nil {
		return err
	}
	if !groupPattern.MatchString(id.Group) {
		return resource.Invalid("The resource group name '%s' is invalid: it may have up to 90 letters, digits, '_', '-', '.', '(' and ')' and must not end in a dot.", id.Group)
	}
	status, limit := http.StatusOK, h.Rules.Limits.OrDefault().GroupsPerSubscription
	var written *resource.Resource
	err = h.commit(rq, func(tx resource.Tx) error {
		status = http.StatusOK
		old, exists := tx.Get(id)
		if rq.created = !exists; exists {
			rq.concerns(old.ID, old.ID)
		}
		location := resource.NormalLocation(body.Location)
		patch := rq.http.Method == http.MethodPatch
		switch {
		case !exists && patch:
			return groupNotFound(id)
		case !exists && location == "":
			return resource.Errorf(resource.LocationRequired, "The location property is required for a resource group.")
		case !exists && len(tx.List(resource.TypeGroup, resource.SubscriptionID(id.Subscription))) >= limit:
			return resource.Errorf(resource.Conflict, "The subscription '%s' has %d resource groups, as many as it can have. Delete one first.", id.Subscription, limit)
		case !exists:
			status = http.StatusCreated
			written = &resource.Resource{ID: id, UID: resource.NewUID(), Type: resource.TypeGroup, Location: location, CreatedAt: rq.now, CreatedBy: rq.caller.ObjectID}
		case location != "" && location != old.Location:
			return resource.Errorf(resource.InvalidResourceGroupLocation,
				"Invalid resource group location '%s'. The Resource group already exists in location '%s'.", body.Location, old.Location)
		default:
			written = old.Clone()
		}
		if body.HasTags || !patch {
			written.Tags = body.Tags
		}
		if err := resource.CheckTags(written.Tags); err != nil {
			return err
		}
		if err := setManager(written, body, patch); err != nil {
			return err
		}
		written.ModifiedAt, written.ModifiedBy = rq.now, rq.caller.ObjectID
		tx.Put(written)
		return nil
	})
	if err != nil {
		return err
	}
	return writeGroupBody(rq, written, status)
}

// setManager keeps the resource that manages a group, as its body names it.
func setManager(r *resource.Resource, body resource.Body, patch bool) error {
	sent, ok := body.Extra["managedBy"]
	var manager string
	if err := resource.DecodeMember("managedBy", sent, &manager); err != nil {
		return err
	}
	switch {
	case manager != "":
		r.Extra = map[string]json.RawMessage{"managedBy": sent}
	case ok || !patch:
		r.Extra = nil
	}
	return nil
}

// deletionChunk bounds the resources that one transaction removes. What a
// resource takes along comes on top, so it stays well below the store's limit.
const deletionChunk = 100

// deleteGroup removes everything in the group, dependents first, and then the
// group itself. A group with very many resources takes several transactions;
// cut short, it is left with fewer resources, and deleting it again goes on.
func (h *Handler) deleteGroup(rq *request, id resource.ID) error {
	for gone := false; !gone; {
		err := h.commit(rq, func(tx resource.Tx) error {
			group, ok := tx.Get(id)
			if !ok {
				return groupNotFound(id)
			}
			rq.concerns(group.ID, group.ID)
			var err error
			if gone, err = h.emptyGroup(rq, tx, id); err != nil || !gone {
				return err
			}
			forgetDeployments(tx, id)
			tx.Delete(group.ID)
			return nil
		})
		if err != nil {
			return err
		}
	}
	rq.out.WriteHeader(http.StatusOK)
	return nil
}

// emptyGroup reports whether it got everything out of the group.
func (h *Handler) emptyGroup(rq *request, tx resource.Tx, id resource.ID) (bool, error) {
	removed := 0
	for _, typ := range h.deletionOrder {
		kind := h.kinds[strings.ToLower(typ)]
		for _, r := range tx.List(typ, id) {
			if removed == deletionChunk {
				return false, nil
			}
			if _, ok := tx.Get(r.ID); !ok {
				continue // gone along with another
			}
			done, err := kind.Remove(&resource.Deletion{Tx: tx, Caller: rq.caller.ObjectID, Now: rq.now}, r)
			if err != nil || !done {
				return false, err
			}
			removed++
		}
	}
	// What is left has no rules of its own: resources of other providers, innermost
	// first, and what hangs on them or on the group, such as roles.
	left := tx.List("", id)
	for _, r := range slices.Backward(left) {
		switch {
		case r.ID.Equal(id):
		case removed == deletionChunk:
			return false, nil
		default:
			tx.Delete(r.ID)
			removed++
		}
	}
	return true, nil
}
