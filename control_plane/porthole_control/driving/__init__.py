"""Programs that look at a desktop and use it: pictures, input, clipboard, over HTTP."""
