package arm

import (
	"net/http"
	"regexp"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	typeAlias  = "Microsoft.Subscription/aliases"
	typeRename = "Microsoft.Subscription/rename"
)

// NewSubscription returns a subscription that can be put into the store.
func NewSubscription(rqNow resource.Time, id, displayName, creator string) (*resource.Resource, error) {
	r := &resource.Resource{
		ID: resource.SubscriptionID(id), UID: resource.NewUID(), Type: resource.TypeSubscription,
		CreatedAt: rqNow.Std(), CreatedBy: creator, ModifiedAt: rqNow.Std(), ModifiedBy: creator,
	}
	return r, resource.Encode(r, &eventgrid.Subscription{DisplayName: displayName, State: "Enabled"})
}

func (h *Handler) presentSubscription(r *resource.Resource) (any, error) {
	p, err := resource.Properties[eventgrid.Subscription](r)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"id": r.ID.String(), "subscriptionId": r.ID.Subscription, "tenantId": h.Tenant, "displayName": p.DisplayName, "state": p.State,
		"subscriptionPolicies": map[string]string{"locationPlacementId": "Public_2014-09-01", "quotaId": "Intertie", "spendingLimit": "Off"},
		"authorizationSource":  "RoleBased", "managedByTenants": []any{}, "tags": tagsOf(r),
	}, nil
}

// listSubscriptions shows the ones in which the caller has any role.
func (h *Handler) listSubscriptions(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	value := []any{}
	for _, r := range h.Store.List(resource.TypeSubscription, resource.ID{}) {
		if !h.Authorizer.AnyAt(rq.caller.ObjectID, r.ID.String(), rq.caller.Groups...) {
			continue
		}
		v, err := h.presentSubscription(r)
		if err != nil {
			tellUnreadable(h.Logger, r, err)
			continue
		}
		value = append(value, v)
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value, "count": map[string]any{"type": "Total", "value": len(value)}})
	return nil
}

func (h *Handler) getSubscription(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	id := rq.path.ID
	// Whoever has a role somewhere inside may see the subscription itself.
	if !h.Authorizer.AnyAt(rq.caller.ObjectID, id.String(), rq.caller.Groups...) {
		return h.authorize(rq, "Microsoft.Resources/subscriptions/read", id)
	}
	r, err := h.findSubscription(id)
	if err != nil {
		return err
	}
	v, err := h.presentSubscription(r)
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, v)
	return nil
}

func (h *Handler) findSubscription(id resource.ID) (*resource.Resource, error) {
	r, ok := h.Store.Get(resource.SubscriptionID(id.Subscription))
	if !ok {
		return nil, subscriptionNotFound(id)
	}
	return r, nil
}

func subscriptionNotFound(id resource.ID) error {
	return resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", id.Subscription)
}

func (h *Handler) listTenants(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": []any{map[string]any{
		"id": "/tenants/" + h.Tenant, "tenantId": h.Tenant, "displayName": "Intertie", "tenantCategory": "Home", "domains": []string{},
	}}})
	return nil
}

// regions are listed for clients that offer a choice; unless configured
// otherwise any region name is accepted.
var regions = [][2]string{
	{"westeurope", "West Europe"},
	{"northeurope", "North Europe"},
	{"eastus", "East US"},
	{"eastus2", "East US 2"},
	{"westus", "West US"},
	{"westus2", "West US 2"},
	{"centralus", "Central US"},
	{"uksouth", "UK South"},
	{"swedencentral", "Sweden Central"},
	{"germanywestcentral", "Germany West Central"},
	{"southeastasia", "Southeast Asia"},
	{"japaneast", "Japan East"},
	{"australiaeast", "Australia East"},
}

func (h *Handler) listLocations(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if err := h.authorize(rq, "Microsoft.Resources/subscriptions/locations/read", rq.path.ID); err != nil {
		return err
	}
	if _, err := h.findSubscription(rq.path.ID); err != nil {
		return err
	}
	value := []any{}
	for _, l := range h.regionList() {
		value = append(value, map[string]any{
			"id": rq.path.ID.String() + "/locations/" + l[0], "name": l[0], "displayName": l[1], "regionalDisplayName": l[1], "type": "Region",
			"metadata": map[string]any{"regionType": "Physical", "regionCategory": "Recommended"},
		})
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

func (h *Handler) regionList() [][2]string {
	if len(h.Rules.Regions) == 0 {
		return regions
	}
	var out [][2]string
	for _, name := range h.Rules.Regions {
		display := name
		for _, r := range regions {
			if r[0] == name {
				display = r[1]
			}
		}
		out = append(out, [2]string{name, display})
	}
	return out
}

// renameSubscription changes the name that people see.
func (h *Handler) renameSubscription(rq *request) error {
	if err := h.only(rq, http.MethodPost); err != nil {
		return err
	}
	if err := h.authorize(rq, typeRename+"/action", rq.path.ID); err != nil {
		return err
	}
	raw, err := rq.bodyOf(smallBody)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"subscriptionName"`
	}
	if err := resource.DecodeBody(raw, &body); err != nil {
		return err
	}
	if body.Name == "" || len(body.Name) > maxSubscriptionName {
		return resource.Invalid("The property 'subscriptionName' is required, with at most %d bytes.", maxSubscriptionName)
	}
	err = h.commit(rq, func(tx resource.Tx) error {
		old, ok := tx.Get(rq.path.ID)
		if !ok {
			return subscriptionNotFound(rq.path.ID)
		}
		p, err := resource.Properties[eventgrid.Subscription](old)
		if err != nil {
			return err
		}
		p.DisplayName = body.Name
		next := old.Clone()
		next.ModifiedAt, next.ModifiedBy = rq.now, rq.caller.ObjectID
		if err := resource.Encode(next, p); err != nil {
			return err
		}
		tx.Put(next)
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, map[string]string{"subscriptionId": rq.path.ID.Subscription})
	return nil
}

// maxSubscriptionName bounds the display name of a subscription, in bytes.
const maxSubscriptionName = 256

// aliasPattern bounds the names that clients choose for aliases.
var aliasPattern = regexp.MustCompile(`^[-\w.]{1,64}$`)

type alias struct {
	SubscriptionID    string `json:"subscriptionId"`
	DisplayName       string `json:"displayName"`
	Workload          string `json:"workload"`
	ProvisioningState string `json:"provisioningState"`
}

// serveAlias creates subscriptions, as Azure does through aliases: the name is
// chosen by the client, so repeating the request makes no second subscription.
func (h *Handler) serveAlias(rq *request) error {
	if err := h.only(rq, http.MethodGet, http.MethodPut); err != nil {
		return err
	}
	id := resource.ID{}.Provider(typeAlias, rq.path.ID.Name())
	if err := h.authorize(rq, typeAlias+"/"+verbs[rq.http.Method], id); err != nil {
		return err
	}
	var wanted struct {
		Properties alias `json:"properties"`
	}
	if rq.http.Method == http.MethodPut {
		body, err := rq.bodyOf(smallBody)
		if err != nil {
			return err
		}
		if err := resource.DecodeBody(body, &wanted); err != nil {
			return err
		}
		if !aliasPattern.MatchString(id.Name()) {
			return resource.Invalid("The alias '%s' is invalid: it must consist of 1 to 64 letters, digits, '-', '_' and '.'.", id.Name())
		}
		if wanted.Properties.DisplayName == "" {
			return resource.Invalid("The property 'displayName' is required: the name of the subscription to create.")
		}
	}
	status := http.StatusOK
	var made *resource.Resource
	err := h.commit(rq, func(tx resource.Tx) error {
		var ok bool
		if made, ok = tx.Get(id); ok {
			return nil
		}
		if rq.http.Method == http.MethodGet {
			return resource.Errorf(resource.NotFound, "The subscription alias '%s' does not exist.", id.Name())
		}
		status = http.StatusCreated
		var err error
		made, err = h.createSubscription(rq, tx, id, wanted.Properties)
		return err
	})
	if err != nil {
		return err
	}
	p, err := resource.Properties[alias](made)
	if err != nil {
		return err
	}
	writeJSON(rq.out, status, map[string]any{"id": id.String(), "name": id.Name(), "type": typeAlias, "properties": p})
	return nil
}

// createSubscription makes the subscription, its alias, and the creator its
// owner, in one transaction.
func (h *Handler) createSubscription(rq *request, tx resource.Tx, id resource.ID, p alias) (*resource.Resource, error) {
	p.SubscriptionID, p.ProvisioningState = uuid.NewString(), "Succeeded"
	subscription, err := NewSubscription(resource.Time(rq.now), p.SubscriptionID, p.DisplayName, rq.caller.ObjectID)
	if err != nil {
		return nil, err
	}
	tx.Put(subscription)
	owner, err := NewRoleAssignment(subscription.ID, uuid.NewString(), access.RoleOwner, rq.caller.ObjectID, resource.Time(rq.now), rq.caller.ObjectID)
	if err != nil {
		return nil, err
	}
	tx.Put(owner)
	r := &resource.Resource{
		ID: id, UID: resource.NewUID(), Type: typeAlias,
		CreatedAt: rq.now, CreatedBy: rq.caller.ObjectID, ModifiedAt: rq.now, ModifiedBy: rq.caller.ObjectID,
	}
	if err := resource.Encode(r, &p); err != nil {
		return nil, err
	}
	tx.Put(r)
	return r, nil
}
