/** The routes, inside the frame that every page shares. */

import { Component, type ComponentChildren } from "preact";
import { ErrorBoundary, LocationProvider, Route, Router, lazy, useLocation } from "preact-iso";
import HandOff from "./pages/handoff";
import Lost from "./pages/lost";
import { Shop } from "./pages/shop";
import { Frame } from "./parts/frame";
import { arrive } from "./parts/heading";
import { State } from "./parts/state";
import { t } from "./words";

const Product = lazy(() => import("./pages/product").catch(notLoaded));
const Checkout = lazy(() => import("./pages/checkout").catch(notLoaded));
const Order = lazy(() => import("./pages/order").catch(notLoaded));
const Orders = lazy(() => import("./pages/orders").catch(notLoaded));
const Find = lazy(() => import("./pages/find").catch(notLoaded));

if (location.pathname === "/handoff") void Order.preload(); // it is shown next: let it come while the code is sent

export function App() {
  return (
    <LocationProvider>
      <Frame>
        <Pages />
      </Frame>
    </LocationProvider>
  );
}

function Pages() {
  const { url } = useLocation();
  return (
    <Boundary url={url}>
      <ErrorBoundary>
        <Router onRouteChange={arrive}>
          <Route path="/" component={Shop} />
          <Route path="/products/:sku" component={Product} />
          <Route path="/checkout/:sku" component={Checkout} />
          <Route path="/orders" component={Orders} />
          <Route path="/orders/:trade" component={Order} />
          <Route path="/orders/:trade/return" component={Order} />
          <Route path="/find" component={Find} />
          <Route path="/handoff" component={HandOff} />
          <Route default component={Lost} />
        </Router>
      </ErrorBoundary>
    </Boundary>
  );
}

/** What stands for a page that cannot be shown, until another is gone to. The router's own boundary only waits. */
class Boundary extends Component<{ url: string; children: ComponentChildren }, { error?: Error | undefined }> {
  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidUpdate({ url }: { url: string }) {
    if (url !== this.props.url && this.state.error) this.setState({ error: undefined });
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return this.state.error instanceof URIError ? <Lost /> : <NotLoaded />;
  }
}

const notLoaded = () => ({ default: NotLoaded });

/** A part of this page is not to be had: newer pages may have taken its place. */
function NotLoaded() {
  return (
    <State
      page
      title={t().install}
      action={
        <button type="button" class="button" onClick={() => location.reload()}>
          {t().update.reload}
        </button>
      }
    />
  );
}
