"""Does the search find what answers?"""
