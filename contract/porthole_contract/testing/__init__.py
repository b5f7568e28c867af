"""What the contract brings along for tests of the programs that keep it.

* `builders`: valid objects and messages, to be changed where a test cares;
* `joined`: two channels with a network between them that a test drives by hand, and that
  refuses to do what no network does.

Nothing in here is imported by a program.
"""
