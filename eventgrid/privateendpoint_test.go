package eventgrid

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

const privateEndpointID = "/subscriptions/" + customerSub + "/resourceGroups/rg-net/providers/Microsoft.Network/privateEndpoints/pe-acme"

func connectionOf(parent resource.ID, name string) resource.ID {
	return parent.Child("privateEndpointConnections", name)
}

func connectionBody(more string) string {
	return `{"properties":{"privateEndpoint":{"id":"` + privateEndpointID + `"}` + more + `}}`
}

func status(s string) string {
	return `,"privateLinkServiceConnectionState":{"status":"` + s + `","description":"Please approve"}`
}

// withParents adds one resource of each type that can have private endpoints.
func withParents(t *testing.T) (*world, map[string]resource.ID) {
	w := newWorld(t).withNamespace()
	for _, id := range []resource.ID{customTopicID, domainID} {
		w.must(w.put(id, `{"location":"westeurope"}`))
	}
	return w, map[string]resource.ID{TypeTopic: customTopicID, TypeDomain: domainID, TypePartnerNamespace: namespaceID}
}

func TestPrivateEndpointConnections(t *testing.T) {
	w, parents := withParents(t)
	for _, p := range privateParents {
		id := connectionOf(parents[p.parent], "pe-acme.2b7c5d0e-1111-4c3b-9f9a-0a1b2c3d4e5f")
		w.must(w.put(id, connectionBody(status("pending"))))
		want := `{"privateEndpoint":{"id":"` + privateEndpointID + `"},"groupIds":["` + p.group + `"],` +
			`"privateLinkServiceConnectionState":{"status":"Pending","description":"Please approve","actionsRequired":"None"},"provisioningState":"Succeeded"}`
		if got := w.show(id, resource.ID{}); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		// As clients approve: with the state alone.
		w.must(w.put(id, `{"properties":{`+status("approved")[1:]+`}}`))
		if got := w.show(id, resource.ID{}); got != strings.Replace(want, "Pending", "Approved", 1) {
			t.Errorf("approved: %s", got)
		}
		w.wantError(w.put(id, strings.Replace(connectionBody(""), "pe-acme", "pe-other", 1)), resource.InvalidRequest, "privateEndpoint.id' cannot be changed after creation")
		w.must(w.delete(id))
		// They go with what they are on.
		w.must(w.put(id, connectionBody("")))
		w.must(w.delete(parents[p.parent]))
		if w.exists(id) {
			t.Errorf("%s: the connection is left", p.parent)
		}
	}
}

func TestPrivateEndpointConnectionRefusals(t *testing.T) {
	w, parents := withParents(t)
	for _, p := range privateParents {
		id := connectionOf(parents[p.parent], "pe-1")
		for body, text := range map[string]string{
			`{}`: "The property 'privateEndpoint.id' is required",
			strings.Replace(connectionBody(""), privateEndpointID, "pe", 1):                                                "privateEndpoint.id 'pe' is not the id of a private endpoint.",
			strings.Replace(connectionBody(""), "Microsoft.Network/privateEndpoints", "Microsoft.Network/publicThings", 1): "is not the id of a private endpoint.",
			connectionBody(`,"groupIds":["blob"]`):                                                                         "groupIds holds 'blob'; a " + p.what + " has the group '" + p.group + "' only.",
			connectionBody(status("Maybe")):                                                                                "'Maybe' is not one of the allowed values: Pending, Approved, Rejected, Disconnected.",
		} {
			w.wantError(w.put(id, body), resource.InvalidRequest, text)
		}
		// To ask is one thing, to approve another.
		w.authorize = func(action string, scope resource.ID) error {
			if action == p.parent+"/PrivateEndpointConnectionsApproval/action" && scope.Equal(parents[p.parent]) {
				return resource.Errorf(resource.AuthorizationFailed, "not yours")
			}
			return nil
		}
		w.wantError(w.put(id, connectionBody(status("Approved"))), resource.AuthorizationFailed, "not yours")
		w.must(w.put(id, connectionBody("")))
		w.wantError(w.put(id, connectionBody(status("Approved"))), resource.AuthorizationFailed, "not yours")
		w.authorize = func(string, resource.ID) error { return nil }
	}
}

func TestLinkResourcesAndPerimeters(t *testing.T) {
	w, parents := withParents(t)
	all := map[string]string{}
	for _, d := range AllDerived() {
		if d.Parent == "" {
			continue
		}
		items, err := d.Items(w.all, w.get(parents[d.Parent]))
		w.must(err)
		data, err := json.Marshal(items)
		w.must(err)
		all[strings.TrimPrefix(d.Type, Namespace+"/")] = string(data)
	}
	link := func(parent resource.ID, group, display string) string {
		return fmt.Sprintf(`[{"id":"%s/privateLinkResources/%s","name":"%[2]s","type":"%[4]s/privateLinkResources","properties":{"groupId":"%[2]s","displayName":"%[3]s",`+
			`"requiredMembers":["%[2]s"],"requiredZoneNames":["privatelink.eventgrid.azure.net"]}}]`, parent, group, display, parent.Type())
	}
	want := map[string]string{
		"topics/privateLinkResources":                    link(customTopicID, "topic", "Event Grid topic"),
		"domains/privateLinkResources":                   link(domainID, "domain", "Event Grid domain"),
		"partnerNamespaces/privateLinkResources":         link(namespaceID, "partnernamespace", "Event Grid partner namespace"),
		"topics/networkSecurityPerimeterConfigurations":  "null",
		"domains/networkSecurityPerimeterConfigurations": "null",
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
