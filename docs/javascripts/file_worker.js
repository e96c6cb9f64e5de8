// Search without a server. Browsers start no Worker for a page that is opened from a file, and the site's search runs in
// one. So there `Worker` is a hidden frame that runs the script, with the two methods of a worker that the search uses.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      const script = frame.contentDocument.createElement("script");
      this.inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      this.inner.importScripts = () => Promise.resolve(); // for languages other than English
      script.onload = () => {
        this.ready = true;
        this.waiting.splice(0).forEach((data) => this.postMessage(data));
      };
      script.src = new URL(url, location.href).href;
      frame.contentDocument.body.append(script);
    }
    postMessage(data) {
      if (this.ready) this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data }));
      else this.waiting.push(data);
    }
    terminate() {
      this.inner.frameElement.remove();
    }
  };
}
