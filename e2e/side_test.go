package e2e

import (
	"errors"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"

	"github.com/intertie/intertie/armclient"
)

const region = "westeurope"

// side is a partner or a customer: an Azure subscription, a principal with a
// role in it, and the clients of that principal.
type side struct {
	server       *server
	subscription string
	group        string
	principal    armclient.Principal
	credential   azcore.TokenCredential
	groups       *armresources.ResourceGroupsClient
	*armeventgrid.ClientFactory
}

// operator returns the Owner of the server as a client.
func operator(t *testing.T, s *server) *armclient.Client {
	t.Helper()
	c, err := armclient.New(s.admin(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newSide makes a side without a resource group, with the role that the
// operator would give it.
func newSide(t *testing.T, s *server, name, role string) *side {
	t.Helper()
	subscription, err := operator(t, s).CreateSubscription(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return newMember(t, s, name, role, subscription, "")
}

// newMember makes another principal with a role at a scope; none means the
// whole subscription.
func newMember(t *testing.T, s *server, name, role, subscription, scope string) *side {
	t.Helper()
	if scope == "" {
		scope = "/subscriptions/" + subscription
	}
	p, err := operator(t, s).CreatePrincipal(t.Context(), name, role, scope)
	if err != nil {
		t.Fatal(err)
	}
	return signIn(t, s, p, "adfs", subscription, "rg-"+name)
}

// signIn makes the clients of a principal.
func signIn(t *testing.T, s *server, p armclient.Principal, tenant, subscription, group string) *side {
	t.Helper()
	options := s.clientOptions()
	credential, err := azidentity.NewClientSecretCredential(tenant, p.AppID, p.Secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: tenant != "adfs"})
	if err != nil {
		t.Fatal(err)
	}
	factory, err := armeventgrid.NewClientFactory(subscription, credential, &arm.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := armresources.NewResourceGroupsClient(subscription, credential, &arm.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return &side{
		server: s, subscription: subscription, group: group, principal: p, credential: credential, groups: groups, ClientFactory: factory,
	}
}

// clientOptions point the Azure SDK to the server.
func (s *server) clientOptions() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud: cloud.Configuration{
			ActiveDirectoryAuthorityHost: s.url + "/",
			Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
				cloud.ResourceManager: {Endpoint: s.url, Audience: "https://management.azure.com"},
			},
		},
		Transport: s.http,
		Retry:     policy.RetryOptions{MaxRetries: -1}, // what fails shall be seen
	}
}

// makeGroup makes the side's resource group.
func (d *side) makeGroup(t *testing.T) {
	t.Helper()
	_, err := d.groups.CreateOrUpdate(t.Context(), d.group, armresources.ResourceGroup{Location: new(region)}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// id returns the ARM id of an Event Grid resource in the side's group.
func (d *side) id(typed ...string) string {
	return armclient.EventGridID(d.subscription, d.group, typed...)
}

// must ends the test on an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantRefusal checks the status and code of an SDK's error.
func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *azcore.ResponseError
	switch {
	case !errors.As(err, &refused):
		t.Errorf("want %d %s, got: %v", status, code, err)
	case refused.StatusCode != status || refused.ErrorCode != code:
		t.Errorf("want %d %s, got %d %s: %v", status, code, refused.StatusCode, refused.ErrorCode, err)
	}
}
