"""The script that `tuneroi dashboard` serves.

It stands outside of `estimator/dashboard/`: Streamlit takes a folder `pages/` beside its script for
pages of its own, and a link to one of them would then be opened without the sidebar.
"""

from estimator.dashboard.main import main

main()
